"""Attached files go with a backup and come back with it."""

import hashlib
import tarfile

from crm_core.services.admin import backup_files, backups, restoring
from crm_core.settings import settings


def attach(raw):
    digest = hashlib.sha256(raw).hexdigest()
    path = settings().data_dir / "files" / digest[:2] / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    return path


def test_files_are_saved_beside_the_backup_and_brought_back(database, tmp_path):
    path = attach(b"an offer")
    target = tmp_path / "elsewhere" / "one.db"
    backups.make(target)
    path.unlink()
    restoring.restore(target)
    assert path.read_bytes() == b"an offer"


def test_without_files_there_is_no_archive(database, tmp_path):
    target = tmp_path / "elsewhere" / "one.db"
    backups.make(target)
    assert not backup_files.companion(target).exists()


def test_a_forged_archive_writes_nothing_outside_and_nothing_under_a_wrong_name(database, tmp_path):
    target = tmp_path / "one.db"
    evil = tmp_path / "evil"
    evil.write_bytes(b"evil")
    with tarfile.open(backup_files.companion(target), "w") as archive:
        for name in ("../../escape", "/etc/escape", "aa/" + "a" * 64):
            archive.add(evil, arcname=name)
    assert backup_files.bring_back(target) == 0
    assert not (tmp_path.parent / "escape").exists()
    assert not list((settings().data_dir / "files").rglob("*"))
