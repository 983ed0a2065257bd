"""What went wrong between this machine and AWS, as one sentence with the next step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
UNKNOWN = frozenset(
    {"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure",
     "InvalidAccessKeyId", "InvalidSignatureException", "IncompleteSignature"}
)  # fmt: skip
SKEWED = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"})
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})


def of_aws(error: BaseException) -> BaseException | None:
    """The error of botocore's that this one is or was raised for; None when there is none."""
    for each in (error, error.__cause__):
        if each is not None and type(each).__module__.startswith("botocore."):
            return each
    return None


def sentence(error: BaseException, *, stack: str, local: bool) -> str:
    """
    What an error of botocore's means, and what to do about it.

    Args:
        stack: The name of the stack that was asked for.
        local: It is the one of `make run`.
    """
    import botocore.exceptions as aws

    told = str(error)
    if isinstance(error, aws.ClientError):
        told = _refused(error.response.get("Error", {}), error.operation_name, stack)
    elif isinstance(error, aws.NoCredentialsError | aws.PartialCredentialsError | aws.CredentialRetrievalError):
        told = "There are no AWS credentials: log in (`aws sso login`), set AWS_PROFILE, or use --local."
    elif isinstance(error, aws.ProfileNotFound):
        told = f"{error}: AWS_PROFILE must be one that `aws configure list-profiles` shows."
    elif isinstance(error, aws.SSOError | aws.TokenRetrievalError):
        told = "Your AWS session has ended: log in again (`aws sso login`)."
    elif isinstance(error, aws.NoRegionError):
        told = "There is no AWS region: set AWS_REGION, or the region of your profile."
    elif isinstance(error, aws.ConnectionError | aws.HTTPClientError):
        told = "AWS does not answer: check the network and AWS_REGION."
        if local:
            told = "The local stack does not answer: is `make run` still running?"
    return told


def _refused(answer: Mapping[str, Any], operation: str, stack: str) -> str:
    code, message = answer.get("Code", ""), answer.get("Message", "")
    told = f"{operation} answered {code}: {message}"
    if code in EXPIRED:
        told = "Your AWS session has ended: log in again (`aws sso login`)."
    elif code in UNKNOWN:
        told = "AWS does not know these credentials: check AWS_PROFILE, or log in again."
    elif code in SKEWED:
        told = "This machine's clock is off, and AWS refuses its signatures: set the clock."
    elif code in DENIED:
        told = f"Your credentials may not call {operation}: use a role that may. AWS says: {message}"
    elif operation == "DescribeStacks" and "does not exist" in message:
        told = (
            f"There is no stack {stack} here: name it by --stack, choose another AWS_REGION, "
            "or deploy it with `sam build && sam deploy --guided`."
        )
    return told
