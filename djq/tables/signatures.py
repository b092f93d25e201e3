"""What type checkers see of the verbs whose results depend on their arguments."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    Protocol,
    TypeAlias,
    TypedDict,
    Unpack,
    overload,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]
    from numpy.typing import NDArray

    from djq.tables.options import OrderBy
    from djq.tables.shapes import Row

    Records: TypeAlias = NDArray[np.void]
    Values: TypeAlias = NDArray[Any]


class Window(TypedDict, total=False):
    """What all of these verbs take: an order, a part of the rows, and what becomes of arrays."""

    order_by: OrderBy
    limit: int | None
    offset: int | None
    squeeze: bool


class Fetch1(Protocol):
    """The signatures of `fetch1`."""

    @overload
    def __call__(self, *, squeeze: bool = False) -> Row: ...
    @overload
    def __call__(self, attribute: Literal["KEY"], /, *, squeeze: bool = False) -> Row: ...
    @overload
    def __call__(self, attribute: str, /, *, squeeze: bool = False) -> Any: ...  # noqa: ANN401
    @overload
    def __call__(
        self, attribute: str, second: str, /, *more: str, squeeze: bool = False
    ) -> tuple[Any, ...]: ...


class Fetch(Protocol):
    """The signatures of `fetch`."""

    @overload
    def __call__(
        self,
        *attributes: str,
        as_dict: Literal[True],
        format: Literal["array"] | None = None,
        **window: Unpack[Window],
    ) -> list[Row]: ...
    @overload
    def __call__(
        self,
        *attributes: str,
        format: Literal["frame"],
        as_dict: Literal[False] | None = None,
        **window: Unpack[Window],
    ) -> pd.DataFrame: ...
    @overload
    def __call__(
        self,
        *,
        as_dict: Literal[False] | None = None,
        format: Literal["array"] | None = None,
        **window: Unpack[Window],
    ) -> Records: ...
    @overload
    def __call__(  # type: ignore[overload-overlap] # one name among all others
        self,
        attribute: Literal["KEY"],
        /,
        *,
        as_dict: Literal[False] | None = None,
        format: Literal["array"] | None = None,
        **window: Unpack[Window],
    ) -> list[Row]: ...
    @overload
    def __call__(
        self,
        attribute: str,
        /,
        *,
        as_dict: Literal[False] | None = None,
        format: Literal["array"] | None = None,
        **window: Unpack[Window],
    ) -> Values: ...
    @overload
    def __call__(
        self,
        attribute: str,
        second: str,
        /,
        *more: str,
        as_dict: Literal[False] | None = None,
        format: Literal["array"] | None = None,
        **window: Unpack[Window],
    ) -> list[Any]: ...


class ToArrays(Protocol):
    """The signatures of `to_arrays`."""

    @overload
    def __call__(
        self,
        *,
        include_key: Literal[False] = False,
        **window: Unpack[Window],
    ) -> Records: ...
    @overload
    def __call__(
        self,
        attribute: str,
        /,
        *,
        include_key: Literal[False] = False,
        **window: Unpack[Window],
    ) -> Values: ...
    @overload
    def __call__(
        self,
        attribute: str,
        second: str,
        /,
        *more: str,
        include_key: Literal[False] = False,
        **window: Unpack[Window],
    ) -> tuple[Values, ...]: ...
    @overload
    def __call__(
        self,
        attribute: str,
        /,
        *more: str,
        include_key: Literal[True],
        **window: Unpack[Window],
    ) -> tuple[Any, ...]: ...
