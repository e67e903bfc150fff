"""Where a run writes: mail on the disk that is measured, sockets where paths are short."""

import os
import pwd
import shutil
import tempfile


class Workspace:
    def __init__(self, out):
        """Beside the results and not in /tmp, which may be memory."""
        os.makedirs(out, exist_ok=True)
        self.dir = tempfile.mkdtemp(prefix="run-", dir=out)
        self.sockets = tempfile.mkdtemp(prefix="lodge-bench-")
        for path in (self.dir, self.sockets):
            os.chmod(path, 0o755)

    def directory(self, *names):
        """A new directory of that path below the workspace."""
        path = os.path.join(self.dir, *names)
        os.makedirs(path)
        return path

    def remove(self, keep):
        shutil.rmtree(self.sockets, ignore_errors=True)
        if not keep:
            shutil.rmtree(self.dir, ignore_errors=True)


def give_to_nobody(*paths):
    """Deliveries never run as root: what they write belongs to nobody then."""
    if os.getuid() == 0:
        nobody = pwd.getpwnam("nobody")
        for path in paths:
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
