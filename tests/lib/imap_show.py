#!/usr/bin/env python3
"""imap_show.py HOST:PORT LOGIN PASSWORD FOLDER|--folders|--subscribed|--text FOLDER

Prints the ids (X-Lodge-Test) of the folder's messages, or the names of the folders, or
the messages themselves.
"""

import re
import sys

import imap_compare


def names(answer):
    for line in answer:
        if line:
            # (flags) "separator" name
            yield re.search(rb'\) "." "?(.*?)"?$', line)[1].decode()


def main():
    address, login, password, what, *more = sys.argv[1:]
    if what in ("--folders", "--subscribed"):
        imap = imap_compare.login(address, login, password)
        print(*names((imap.list if what == "--folders" else imap.lsub)()[1]), sep="\n")
        imap.logout()
    elif what == "--text":
        for _, raw in imap_compare.mailbox(address, login, password, *more):
            print(raw.decode("utf-8", "replace"))
    else:
        for _, raw in imap_compare.mailbox(address, login, password, what):
            print(*re.findall(r"^X-Lodge-Test: (\S+)", raw.decode("utf-8", "replace"), re.M)[:1])


if __name__ == "__main__":
    main()
