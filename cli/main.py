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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--stack", "stack_name", default="grantkeeper", show_default=True, envvar="GRANTKEEPER_STACK")
@click.option("--local", is_flag=True, help="The stack of `make run`.")
@click.version_option("0.1.0", prog_name="grantkeeper")
@click.pass_context
def cli(context: click.Context, *, stack_name: str, local: bool) -> None:
    """Operate a Grantkeeper stack with your AWS credentials."""
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


def main(arguments: list[str] | None = None) -> None:
    """Run a command; a domain error becomes one sentence and exit code 1."""
    try:
        cli.main(args=arguments, prog_name="grantkeeper", standalone_mode=False)
    except GrantkeeperError as error:
        explain(error).show()
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("Aborted.", err=True)
        sys.exit(130)
