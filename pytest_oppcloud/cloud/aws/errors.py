"""What can go wrong with Amazon's services, in words that say what to do.

    MachineryError
    └── AwsError              anything else that a service answers; no answer at all
        ├── CredentialsError  none, expired, or wrong
        ├── AccessDeniedError a right is missing; `action` says which
        └── QuotaError        the account may not have so much

Knows the shape of botocore's errors but does not import it.
"""

from __future__ import annotations

import re

from pytest_oppcloud.errors import MachineryError


class AwsError(MachineryError):
    """A service of Amazon's did not do what it was asked for.

    `message` is the service's own text, `action` what was asked for ("cloudformation:CreateStack"), `code` the
    service's name of the error, `advice` what to do about it.
    """

    def __init__(self, message: str, *, action: str = "", code: str = "", advice: str = "") -> None:
        self.message = message
        self.action = action
        self.code = code
        self.advice = advice
        super().__init__(message)

    def __str__(self) -> str:
        asked = f"{self.action}: " if self.action else ""
        return f"{asked}{self.message}" + (f"\n{self.advice}" if self.advice else "")


class CredentialsError(AwsError):
    """Nobody is logged in, or not any more."""


class AccessDeniedError(AwsError):
    """Whoever is logged in may not do this."""


class QuotaError(AwsError):
    """The account may not have so much of it."""


#: Codes differ from service to service, and the same service has several.
_CREDENTIALS = frozenset({
    "AuthFailure", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidClientTokenId",
    "InvalidSignatureException", "MissingAuthenticationToken", "RequestExpired", "SignatureDoesNotMatch",
    "UnrecognizedClientException",
})  # fmt: skip
_DENIED = frozenset({
    "403", "AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedException",
    "UnauthorizedOperation",
})  # fmt: skip
_QUOTA = re.compile(r"LimitExceeded|QuotaExceeded|^TooMany|^MaxSpotInstanceCountExceeded$|^InstanceLimit")

_LOGIN = "Log in (`aws sso login`, `aws configure`), or set AWS_PROFILE; `oppcloud doctor` shows who you are."
_CLOCK = "This machine's clock is wrong: signatures hold for minutes only. `oppcloud doctor` tells by how much."


def from_answer(action: str, code: str, message: str) -> AwsError:
    """Return the error for what a service answered."""
    if code in {"RequestTimeTooSkewed", "RequestExpired"} or "Signature not yet current" in message:
        return CredentialsError(message, action=action, code=code, advice=_CLOCK)
    if code in _CREDENTIALS:
        return CredentialsError(message, action=action, code=code, advice=_LOGIN)
    if code in _DENIED:
        advice = f'The right "{action}" is missing. docs/how-to/aws.md lists the rights that each command needs.'
        return AccessDeniedError(message, action=action, code=code, advice=advice)
    if _QUOTA.search(code) and "Throttl" not in code:
        advice = (
            "Ask for more in the console under Service Quotas, or take less with --workers or other --instance-types."
        )
        return QuotaError(message, action=action, code=code, advice=advice)
    return AwsError(message, action=action, code=code)


def no_answer(action: str, error: Exception) -> AwsError:
    """Return the error for a call that got no answer; `error` is one of botocore's."""
    kind = type(error).__name__
    if "Credential" in kind or kind in {
        "ProfileNotFound",
        "TokenRetrievalError",
        "SSOTokenLoadError",
        "UnauthorizedSSOTokenError",
    }:
        return CredentialsError(str(error), action=action, code=kind, advice=_LOGIN)
    if kind == "NoRegionError":
        return AwsError("no region is given", action=action, code=kind, advice="Use --region or set AWS_REGION.")
    return AwsError(str(error), action=action, code=kind)
