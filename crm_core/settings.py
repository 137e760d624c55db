"""Machine settings, read once from the environment (prefix ``RAPPORT_``) or ``.env``. Business settings are rows, edited on a page."""

from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """See docs/settings.md for the meaning of each one."""

    model_config = SettingsConfigDict(env_prefix="RAPPORT_", env_file=".env", extra="ignore")

    database_url: str = ""
    data_dir: Path = ROOT / "data" / "local"
    reference_data: Path = ROOT.parent / "shared" / "data"
    public_url: str = ""
    processes: int = Field(default=0, ge=0, le=32)
    max_upload_mb: int = Field(default=250, ge=1, le=2000)
    session_days: int = Field(default=14, ge=1, le=365)
    setup_token: SecretStr | None = None
    metrics_token: SecretStr | None = None
    worker_concurrency: int = Field(default=4, ge=1, le=64)
    worker_silent_seconds: float = Field(default=90, ge=1, le=3600)
    statement_timeout_seconds: int = Field(default=60, ge=0, le=86_400)
    lock_timeout_seconds: int = Field(default=30, ge=0, le=86_400)
    idle_transaction_seconds: int = Field(default=600, ge=0, le=86_400)
    log_level: str = "INFO"

    smtp_url: SecretStr | None = None
    mail_from: str = ""
    mail_reply_to: str = ""

    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: SecretStr | None = None
    oidc_label: str = "Single sign-on"
    oidc_default_role: str = ""

    api_per_minute: int = Field(default=600, ge=1, le=100_000)
    api_cors_origins: str = ""
    webhook_allow_loopback: bool = False

    def base_url(self, known: str = "") -> str:
        """Where links from outside lead: the public address, else the one under which somebody was ``known`` to reach the app."""
        return (self.public_url or known or "http://localhost:8501").rstrip("/")

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database; SQLite under ``data_dir`` when none is set."""
        if not self.database_url:
            return f"sqlite:///{self.data_dir / 'rapport.db'}"
        url = self.database_url
        for plain in ("postgres://", "postgresql://"):
            if url.startswith(plain):
                return "postgresql+psycopg://" + url.removeprefix(plain)
        return url

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process. Tests clear them with ``settings.cache_clear()``."""
    return Settings()
