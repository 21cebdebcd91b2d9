"""What a served house says while it runs: one structured event a line on stderr, JSON or for people.

Events are snake_case names with fields; secrets are cut out by name before anything is written.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog
from structlog.typing import FilteringBoundLogger, Processor

SECRET_WORDS: Final = ("password", "secret", "signature", "authorization", "cookie", "token")
CUT_OUT: Final = "[cut out]"
_TRACEBACKS: Final = structlog.processors.ExceptionRenderer(
    # Locals may hold anything, secrets too.
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)
LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure_logs(log_format: str = "json", *, level: str = "info") -> None:
    """Set the process's logs up; the standard library's loggers speak the same way. Twice changes nothing."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        cut_secrets_out,
    ]
    if log_format == "json":
        last: list[Processor] = [_TRACEBACKS, structlog.processors.JSONRenderer()]
    else:
        last = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last], foreign_pre_chain=shared
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS["warning"] if level == "info" else LEVELS[level])


def logger() -> FilteringBoundLogger:
    """The process's logger; what is bound to the context comes along."""
    found: FilteringBoundLogger = structlog.get_logger()
    return found


def cut_secrets_out(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what is named like a secret, also one level down."""
    for name, value in event.items():
        if _is_secret(name):
            event[name] = CUT_OUT
        elif isinstance(value, dict):
            event[name] = {key: CUT_OUT if _is_secret(str(key)) else held for key, held in value.items()}
    return event


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in SECRET_WORDS)
