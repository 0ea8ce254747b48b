"""MikroRoom: the signaling server of a self-hosted video meeting service.

``create_app(settings)`` gives the ASGI application; ``mikroroom serve`` runs it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mikroroom.app import create_app as create_app
    from mikroroom.settings import Settings as Settings

__all__ = ["Settings", "__version__", "create_app"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load the server only when it is asked for: ``mikroroom.client`` alone must not import Starlette."""
    if name == "create_app":
        from mikroroom.app import create_app  # noqa: PLC0415

        return create_app
    if name == "Settings":
        from mikroroom.settings import Settings  # noqa: PLC0415

        return Settings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
