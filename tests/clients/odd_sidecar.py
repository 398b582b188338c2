#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: odd_sidecar.py SOCKET WAY...

A sidecar that does not do as it should: it serves one connection in each WAY, in this order, and all
that follow in the last one. It prints the way when it is asked.

  mute      says that it lives, for as long as it is listened to, and never what it has decided
  short     admits, with a rewritten request that is shorter than it says
  unsealed  admits, with a rewritten request that it could shorten
  slow      says that it lives for a few seconds, and admits
  dies      ends the connection
  older     says that it is of version 3, and cannot answer
  newer     admits, in version 5
  admits    does as it should
"""
import array
import fcntl
import os
import select
import socket
import struct
import sys
import threading

MAGIC, VERSION = 0x4C425946, 4
ADMIT, CLAIM, HEARTBEAT, VERDICT, MISMATCH = 1, 6, 16, 17, 48
BODY_BYTES, DECISION, VERSION_IS = 9, 12, 21
ADMITTED, CLAIM_LOST = 1, 5
HEARTBEAT_S = 0.08
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
BODY = b'{"model": "another", "max_tokens": 1, "messages": []}'


def send(conn, kind, fields=(), fds=(), version=VERSION):
    packed = struct.pack("<IHH", MAGIC, version, kind)
    packed += b"".join(struct.pack("<HHIQ", tag, 0, 8, number) for tag, number in fields)
    conn.sendmsg([packed], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])


def rewrite(conn, more, seals):
    fd = os.memfd_create("odd", os.MFD_ALLOW_SEALING)
    os.write(fd, BODY)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    send(conn, VERDICT, [(DECISION, ADMITTED), (BODY_BYTES, len(BODY) + more)], [fd])
    os.close(fd)


def admit(conn):
    send(conn, VERDICT, [(DECISION, ADMITTED)])


WAYS = {
    "short": lambda conn: rewrite(conn, 100000, SEALS),
    "unsealed": lambda conn: rewrite(conn, 0, fcntl.F_SEAL_WRITE),
    "older": lambda conn: send(conn, MISMATCH, [(VERSION_IS, 3)], version=3),
    "newer": lambda conn: send(conn, VERDICT, [(DECISION, ADMITTED)], version=5),
    "admits": admit,
}
BEATS = {"mute": sys.maxsize, "slow": 40}


def serve(conn, way):
    beats = 0  # that are still to come, and then the admission
    pokes = []
    while True:
        if beats > 0 and not select.select([conn], [], [], HEARTBEAT_S)[0]:
            send(conn, HEARTBEAT)
            beats -= 1
            if beats == 0:
                admit(conn)
                for fd in pokes:
                    os.write(fd, b"H")
            continue
        packet, fds = socket.recv_fds(conn, 65536, 4)[:2]
        pokes += fds  # or a body: a descriptor that is not kept ends what waits
        kind = struct.unpack_from("<IHH", packet)[2] if packet else None
        if kind in (ADMIT, CLAIM):
            print(way, flush=True)
        if kind is None or way == "dies":
            return conn.close()
        if kind == CLAIM:
            send(conn, VERDICT, [(DECISION, CLAIM_LOST)])
        elif kind == ADMIT and way in BEATS:
            beats = BEATS[way]
        elif kind == ADMIT:
            WAYS[way](conn)


def main():
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(sys.argv[1])
    listener.listen(16)
    ways = sys.argv[2:]
    while True:
        conn = listener.accept()[0]
        threading.Thread(target=serve, args=(conn, ways[0]), daemon=True).start()
        ways = ways[1:] or ways


main()
