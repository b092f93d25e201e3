"""The demo: a real pipeline on the embedded stack, from an empty folder to a picture."""

from __future__ import annotations

import pkgutil
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from djq.errors import ConfigError
from djq.ops.embedded import locked
from djq.settings import Settings, StoreSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from djq.tables.query import Query
    from djq.tables.schema import Schema

MODULE = "examples.blobs.pipeline"
REPORT = "examples.blobs.report"
#: A file that says: this folder is a demo's, and may be emptied.
MARKER = "made-by-djq-demo"


@dataclass(frozen=True, slots=True)
class Example:
    """What the demo needs of the example; its modules are found by name."""

    schema: Schema
    insert_images: Callable[[], None]
    summary: Callable[[], Query]
    write: Callable[[Path], None]

    @classmethod
    def load(cls) -> Example:
        """Import the example; its tables are declared on the default connection.

        Raises
        ------
        ConfigError
            The example, or a library that it needs, is not here.
        """
        return cls(
            schema=_resolve(f"{MODULE}:schema"),
            insert_images=_resolve(f"{MODULE}:insert_images"),
            summary=_resolve(f"{REPORT}:summary"),
            write=_resolve(f"{REPORT}:write"),
        )


def settings(folder: Path) -> Settings:
    """Return the settings of a demo in `folder`, whatever else is configured here.

    All that matters is spelt out, so that no process of the demo falls back on a `djq.toml`.
    """
    state = folder.resolve() / ".djq"
    return Settings.model_construct(
        database_url=SecretStr(f"sqlite:///{state / 'pipeline.sqlite'}"),
        stores={"tiles": StoreSettings(url=(state / "stores" / "tiles").as_uri())},
        pipeline=(MODULE,),
        state_dir=state,
        namespace="demo",
    )


def make_empty(state: Path) -> bool:
    """Make the state folder new; return whether there was an earlier demo.

    Raises
    ------
    ConfigError
        There is something that no demo made.
    FleetError
        A demo runs there.
    """
    existed = state.is_dir() and any(state.iterdir())
    if existed:
        if not (state / MARKER).exists():
            message = f"{state} is not a demo's; name another folder with --folder"
            raise ConfigError(message)
        with locked(state):
            shutil.rmtree(state)
    state.mkdir(parents=True, exist_ok=True)
    (state / MARKER).touch()
    return existed


def _resolve(name: str) -> Any:  # noqa: ANN401 - whatever has this name
    try:
        return pkgutil.resolve_name(name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("examples"):
            advice = "the demo's pipeline is not here: run it in a clone of djq's repository"
        else:
            advice = f"the demo needs {error.name}: pip install 'djq[demo]'"
        raise ConfigError(advice) from error
