from __future__ import annotations

from tests.support.azure import azure_settings
from tests.support.s3 import s3_settings

__all__ = ["azure_settings", "s3_settings"]
