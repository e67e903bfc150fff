"""Other programs, set up as their documentation recommends for production, with private files.

Each writes below the workspace as the user nobody, as lodge does. What is not installed, or needs
root where we are not, is left out and named.
"""

import os
import pwd
import shutil
import subprocess

from .lodge import LIMIT, write_script
from .processes import stop, wait_for
from .workspace import give_to_nobody

DOVECOT_LDA = "/usr/lib/dovecot/dovecot-lda"

# A process for each connection, used again and again, all of them started before the first mail
# (service_count, process_min_avail); mail synced when it is saved (mail_fsync = optimized); no other program changes
# the Maildirs (maildir_very_dirty_syncs). Users are known without a look-up: lodge asks its map.
DOVECOT_CONF = """
base_dir = {sockets}
state_dir = {sockets}
log_path = {dir}/mail/log
protocols = lmtp
ssl = no
default_login_user = nobody
default_internal_user = nobody
default_vsz_limit = 0
mail_location = maildir:~/Maildir
mail_fsync = optimized
maildir_very_dirty_syncs = yes
first_valid_uid = 1
first_valid_gid = 1
postmaster_address = postmaster@example.org
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={dir}/mail/%u allow_all_users=yes
}}
passdb {{
  driver = static
}}
lmtp_save_to_detail_mailbox = no
service lmtp {{
  client_limit = 1
  process_min_avail = 50
  process_limit = 100
  service_count = 0
  unix_listener lmtp {{
    mode = 0666
  }}
}}
service auth {{
  unix_listener auth-userdb {{
    mode = 0666
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""
DOVECOT_PLUGINS = """
mail_plugins = $mail_plugins quota
protocol lmtp {{
  mail_plugins = $mail_plugins sieve
}}
protocol lda {{
  mail_plugins = $mail_plugins sieve
}}
plugin {{
  quota = maildir:User quota
  quota_rule = *:bytes={limit}
  sieve = file:~/.dovecot.sieve
}}
"""


def dovecot_is_available():
    if os.getuid() != 0 or shutil.which("dovecot") is None:
        return False
    version = subprocess.run(["dovecot", "--version"], stdout=subprocess.PIPE, text=True)
    return version.stdout.startswith("2.3.")


class Dovecot:
    """Dovecot 2.3 with LMTP and userdb; with script: quota and Sieve too, and this script for each user."""

    def __init__(self, workspace, name, domain, users, script=None):
        self.dir = workspace.directory(name)
        self.mail = workspace.directory(name, "mail")
        sockets = f"{workspace.sockets}/{name}"
        self.socket = f"{sockets}/lmtp"
        self.conf = f"{self.dir}/dovecot.conf"
        open(f"{self.mail}/log", "w").close()
        give_to_nobody(self.mail, f"{self.mail}/log")  # dovecot-lda runs as nobody as well
        with open(self.conf, "w") as file:
            file.write(DOVECOT_CONF.format(dir=self.dir, sockets=sockets))
            if script is not None:
                file.write(DOVECOT_PLUGINS.format(limit=LIMIT))
        for number in range(users) if script is not None else ():
            write_script(f"{self.mail}/user{number}@{domain}", script)
        self.server = None

    def start(self):
        # Of its own session: when it ends it ends its whole process group.
        self.server = subprocess.Popen(["dovecot", "-F", "-c", self.conf], start_new_session=True)
        wait_for(lambda: os.path.exists(self.socket), "Dovecot did not start", self.server)

    def lda(self):
        return [DOVECOT_LDA, "-c", self.conf, "-f", "bench@example.net", "-d", "%r"]

    def stop(self):
        if self.server is not None:
            stop(self.server)


class Courier:
    """maildrop with a filter that names the Maildir, and deliverquota on the same tree. maildrop syncs the file and not
    the directory, deliverquota syncs nothing."""

    def __init__(self, workspace, domain, users):
        self.dir = workspace.directory("courier")
        self.filter = f"{self.dir}/filter"
        with open(self.filter, "w") as file:
            file.write(f'to "{self.dir}/$1/Maildir"\n')
        os.chmod(self.filter, 0o600)  # maildrop takes no other
        give_to_nobody(self.filter)
        for number in range(users):
            maildir = f"{self.dir}/user{number}@{domain}/Maildir"
            paths = [os.path.join(maildir, part) for part in ("cur", "new", "tmp")]
            for path in paths:
                os.makedirs(path)
            give_to_nobody(os.path.dirname(maildir), maildir, *paths)

    def maildrop(self):
        return [shutil.which("maildrop"), self.filter, "%r"]

    def deliverquota(self):
        return [shutil.which("deliverquota"), f"{self.dir}/%r/Maildir", f"{LIMIT}S"]
