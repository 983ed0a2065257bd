"""The command line: global options, groups of commands, errors as sentences."""

from __future__ import annotations

import sys

import click

from cli.after_restore import after_restore
from cli.api_keys import api_keys
from cli.archive.export_command import export_archive, thaw
from cli.archive.import_command import import_archive
from cli.clients import clients
from cli.cost.command import cost
from cli.doctor.command import doctor
from cli.errors import of_aws, sentence
from cli.keys import init, keys
from cli.providers import providers
from cli.queues import queues
from cli.stack import Stack, explain
from cli.users import users
from grantkeeper.errors import GrantkeeperError

EXIT_CODES = {
    0: "it is done; for `doctor`, nothing is failing",
    1: "it is not, and a sentence on standard error says why and what to do next; `doctor`: something is failing",
    2: "the command was called wrongly",
    130: "interrupted",
}


class Commands(click.Group):
    """All commands; what AWS refuses any of them is told as one sentence with the next step."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            cause = of_aws(error)
            if cause is None or not isinstance(ctx.obj, Stack):
                raise
            raise click.ClickException(sentence(cause, stack=ctx.obj.name, local=ctx.obj.local)) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--stack", "stack_name", default="grantkeeper", show_default=True, envvar="GRANTKEEPER_STACK",
              show_envvar=True, help="Name of the CloudFormation stack.")  # fmt: skip
@click.option("--local", is_flag=True, help="The stack of `make run`.")
@click.version_option("0.1.0", prog_name="grantkeeper")
@click.pass_context
def cli(context: click.Context, *, stack_name: str, local: bool) -> None:
    r"""
    Operate a Grantkeeper stack with your AWS credentials.

    \b
    Examples:
      grantkeeper --local doctor
      grantkeeper --stack staging providers configure google --client-id …
      grantkeeper cost --connections 100000
    """
    context.obj = Stack("grantkeeper-local" if local and stack_name == "grantkeeper" else stack_name, local=local)


for command in (
    init,
    after_restore,
    api_keys,
    clients,
    cost,
    doctor,
    export_archive,
    import_archive,
    keys,
    providers,
    queues,
    thaw,
    users,
):
    cli.add_command(command)


def _keep_lines(command: click.Command) -> None:
    """Docstrings are raw and write click's mark for lines that stay as they are in two characters: it is one."""
    command.help = command.help and command.help.replace("\\b\n", "\b\n")
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        _keep_lines(each)


_keep_lines(cli)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; a domain error becomes one sentence and exit code 1 (`EXIT_CODES` has them all)."""
    try:
        code = cli.main(args=arguments, prog_name="grantkeeper", standalone_mode=False)
    except GrantkeeperError as error:
        explain(error).show()
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("Aborted.", err=True)
        sys.exit(130)
    if isinstance(code, int):  # what a command exits with, where it does not stand alone
        sys.exit(code)
