#!/usr/bin/env python3
"""imap_show.py HOST:PORT LOGIN PASSWORD FOLDER|--folders|--subscribed|--text FOLDER|--flags FOLDER

Prints the ids (X-Lodge-Test) of the folder's messages, or the names of the folders, or
the messages themselves, or their flags and keywords, sorted, a line each.
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
    elif what == "--flags":
        imap = imap_compare.login(address, login, password)
        imap.select(more[0], readonly=True)
        for line in imap.fetch("1:*", "(FLAGS)")[1]:
            flags = re.search(rb"FLAGS \(([^)]*)\)", line)[1].decode().split()
            print(*sorted(set(flags) - {"\\Recent"}))
        imap.logout()
    elif what == "--text":
        for _, raw in imap_compare.mailbox(address, login, password, *more):
            print(raw.decode("utf-8", "replace"))
    else:
        for _, raw in imap_compare.mailbox(address, login, password, what):
            print(*re.findall(r"^X-Lodge-Test: (\S+)", raw.decode("utf-8", "replace"), re.M)[:1])


if __name__ == "__main__":
    main()
