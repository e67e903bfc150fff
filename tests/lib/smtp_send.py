#!/usr/bin/env python3
"""smtp_send.py HOST:PORT DIRECTORY MANIFEST RECIPIENT... - sends every DIRECTORY/*.eml by SMTP

Each goes to one to three of the recipients, from one of a few senders (the null
sender among them), over four connections. MANIFEST gets a JSON line a message:
id, sender, recipients, queue (the queue id Postfix answered).
"""

import concurrent.futures
import json
import pathlib
import random
import sys

import wire

SENDERS = ["sender@sender.test", "", "owner-list@lists.sender.test", '"quoted local"@sender.test', "grüße@sender.test"]


def send(client, sender, recipients, message):
    client.expect(250, f"MAIL FROM:{wire.path(sender)}{wire.parameters([sender, *recipients], message)}")
    for recipient in recipients:
        client.expect(250, f"RCPT TO:{wire.path(recipient)}")
    client.expect(354, "DATA")
    client.body(message)
    return client.expect(250).rpartition(" ")[2]


def send_all(address, files, recipients, seed):
    rng = random.Random(seed)
    client = wire.Client(address)
    client.expect(220)
    client.expect(250, "EHLO client.lodge.test")
    sent = []
    for file in files:
        sender = rng.choice(SENDERS)
        chosen = rng.sample(recipients, rng.randint(1, min(3, len(recipients))))
        queue = send(client, sender, chosen, file.read_bytes())
        sent.append({"id": file.stem, "sender": sender, "recipients": chosen, "queue": queue})
    client.expect(221, "QUIT")
    client.close()
    return sent


def main():
    address, directory, manifest, *recipients = sys.argv[1:]
    files = sorted(pathlib.Path(directory).glob("*.eml"))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        jobs = [pool.submit(send_all, wire.address_of(address), files[start::4], recipients, start) for start in range(4)]
        sent = [entry for job in jobs for entry in job.result()]
    with open(manifest, "w", encoding="utf-8") as out:
        for entry in sent:
            print(json.dumps(entry), file=out)
    print(len(sent))


if __name__ == "__main__":
    main()
