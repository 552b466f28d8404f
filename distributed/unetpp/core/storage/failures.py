"""What a storage failure means: passing or final, and in words the user can act on.

Exceptions are told apart by name and by the server's error code, so that no cloud library is imported here.
"""

import errno
from collections.abc import Iterator

from unetpp.core.errors import AccessError, OutageError, StorageError
from unetpp.core.logs import redact

__all__ = [
    "error_code",
    "explain",
    "is_beyond_end",
    "is_exists_error",
    "is_transient",
    "is_unsupported_condition",
]

_TRANSIENT_CODES = frozenset(
    "429 500 502 503 504 BandwidthLimitExceeded ConditionalRequestConflict InternalError OperationAborted "
    "RequestLimitExceeded RequestTimeout RequestTimeoutException ServiceUnavailable SlowDown Throttling "
    "ThrottlingException TooManyRequests TooManyRequestsException XAmzContentSHA256Mismatch".split()
)
_TRANSIENT_TYPES = frozenset(
    "ConnectionError TimeoutError HTTPClientError ResponseParserError IncompleteRead IncompleteReadError "
    "ClientPayloadError ClientConnectionError FSTimeoutError".split()
)
_CREDENTIAL_CODES = frozenset(
    "AuthorizationHeaderMalformed ExpiredToken InvalidAccessKeyId InvalidToken RequestTimeTooSkewed "
    "SignatureDoesNotMatch TokenRefreshRequired".split()
)
_CREDENTIAL_TYPES = frozenset(
    "NoCredentialsError PartialCredentialsError CredentialRetrievalError ProfileNotFound TokenRetrievalError "
    "UnauthorizedSSOTokenError".split()
)
_PERMISSION_CODES = frozenset("401 403 AccessDenied AllAccessDisabled Forbidden InvalidObjectState".split())
_EXISTS_CODES = frozenset("412 PreconditionFailed".split())
_NO_CONDITIONAL_CODES = frozenset("501 NotImplemented".split())
_BEYOND_END_CODES = frozenset("416 InvalidRange".split())
_REGION_CODES = frozenset(
    "301 307 PermanentRedirect Redirect TemporaryRedirect IllegalLocationConstraintException".split()
)


def error_code(error: BaseException) -> str:
    """The object store's error code, such as "NoSuchBucket" or "403"; empty if there is none."""
    for link in _chain(error):
        response = getattr(link, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed later: throttled, server fault, lost connection, timeout."""
    if isinstance(error, FileNotFoundError | PermissionError | FileExistsError):
        return False
    code = error_code(error)
    if code:
        return code in _TRANSIENT_CODES
    return bool(_type_names(error) & _TRANSIENT_TYPES)


def is_beyond_end(error: BaseException) -> bool:
    """Whether a range was refused because the object ends before its start."""
    return error_code(error) in _BEYOND_END_CODES


def is_exists_error(error: BaseException) -> bool:
    """Whether a conditional write was refused because the object exists."""
    return isinstance(error, FileExistsError) or error_code(error) in _EXISTS_CODES


def is_unsupported_condition(error: BaseException) -> bool:
    """Whether the store answered that it does not implement conditional writes."""
    return error_code(error) in _NO_CONDITIONAL_CODES


def explain(error: BaseException, uri: str) -> StorageError:
    """Put the cause and its fix into words.

    Args:
        uri: what was accessed; it holds no credentials, they are refused when storage is opened.

    Returns:
        An `AccessError` where only this path is known to be refused, an `OutageError` where waiting may help.
    """
    return _kind(error)(redact(f"cannot use {uri}: {_reason(error)}"))


def _reason(error: BaseException) -> str:
    code, types = error_code(error), _type_names(error)
    if code == "NoSuchBucket":
        return "the bucket does not exist; create it or correct its name"
    if code in _CREDENTIAL_CODES:
        return (
            f"the credential was refused ({code}); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
            "AWS_SESSION_TOKEN and AWS_DEFAULT_REGION"
        )
    if types & _CREDENTIAL_TYPES:
        return (
            "no usable credential was found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE"
        )
    if code in _REGION_CODES:
        return f"the bucket lives in another region ({code}); set AWS_DEFAULT_REGION to it"
    if code in _PERMISSION_CODES or isinstance(error, PermissionError):
        return "permission denied; check that the credential is right and has access to this path"
    if "SSLError" in types:
        return "TLS failed; check the scheme of AWS_ENDPOINT_URL and the certificate bundle"
    if types & {"EndpointConnectionError", "ConnectTimeoutError", "ConnectionError", "HTTPClientError"}:
        return "the endpoint is unreachable; check the network and AWS_ENDPOINT_URL"
    if is_transient(error):
        return f"it kept failing ({code or type(error).__name__}) until the retry deadline; try again later"
    return _local_reason(error)


def _kind(error: BaseException) -> type[StorageError]:
    if is_transient(error):
        return OutageError
    if _type_names(error) & _CREDENTIAL_TYPES:
        return StorageError
    if error_code(error) in _PERMISSION_CODES or isinstance(error, PermissionError) or _is_of_one_path(error):
        return AccessError
    return StorageError


def _is_of_one_path(error: BaseException) -> bool:
    """Whether the operating system objects to the path itself rather than to the disk it lies on."""
    numbers = (errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR)
    return isinstance(error, OSError) and error.errno in numbers


def _local_reason(error: BaseException) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "no space left; free some or choose another place"
    if number == errno.EROFS:
        return "the file system is read-only; choose another place"
    if number in (errno.ENOTDIR, errno.EISDIR):
        return "a file stands where a folder is needed, or the reverse; choose another path"
    return f"{type(error).__name__}: {error}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(8):  # causes may form a cycle
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__


def _type_names(error: BaseException) -> set[str]:
    return {base.__name__ for link in _chain(error) for base in type(link).__mro__}
