"""A way out for builds on a test ground, whose network has none: an HTTP proxy that listens on one of its hosts
and calls from this machine, for as long as the `with` lasts.

    with WayOut(c.head) as out:
        c["n1"].run([...], env=out.environment)"""

import ctypes
import os
import socket
import threading
from urllib.parse import urlsplit

CLONE_NEWNET = 0x40000000


class WayOut:
    def __init__(self, host, port=3128):
        self.host, self.port = host, port
        address = f"http://{host.ip}:{port}"
        self.environment = {"http_proxy": address, "https_proxy": address}

    def __enter__(self):
        opener = threading.Thread(target=self.listen)
        opener.start()
        opener.join()
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def listen(self):
        """A socket stays in the network that it was made in; only the thread that makes it goes there."""
        with open(f"/proc/{self.host.pid}/ns/net") as network:
            if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self.listener = socket.create_server((self.host.ip, self.port), backlog=64)

    def serve(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.forward, args=(client,), daemon=True).start()

    @staticmethod
    def forward(client):
        """The rest of the connection goes where its first request goes: apt and pip want no more."""
        with client:
            try:
                request = b""
                while b"\r\n\r\n" not in request:
                    piece = client.recv(65536)
                    if not piece:
                        return
                    request += piece
                verb, target = request.split(b" ", 2)[:2]
                tunnel = verb == b"CONNECT"
                place = urlsplit(("//" if tunnel else "") + target.decode())
                server = socket.create_connection((place.hostname, place.port or 80), 30)
            except (OSError, ValueError):
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            with server:
                server.settimeout(None)
                if tunnel:
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                else:
                    server.sendall(request)
                back = threading.Thread(target=pump, args=(server, client), daemon=True)
                back.start()
                pump(client, server)
                back.join()


def pump(source, target):
    try:
        while piece := source.recv(1 << 16):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, target):  # the other direction ends with this one
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
