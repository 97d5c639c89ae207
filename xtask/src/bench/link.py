"""link.py NAMESPACE NEAR FAR MS: a line with a delay of MS each way, from this machine into a network namespace.

Two TUN devices; this program carries the packets between them until it is ended. Prints a word when the line is up.
Many kernels have no netem, which would do the same.
"""

import fcntl
import heapq
import os
import select
import struct
import subprocess
import sys
import time

NAMESPACE, NEAR, FAR, DELAY = sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]) / 1000
TUNSETIFF, IFF_TUN_WITHOUT_HEADER = 0x400454CA, 0x1001


def tun(name, me, peer, namespace):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN_WITHOUT_HEADER))
    ip = ["ip"]
    if namespace:
        subprocess.check_call(["ip", "link", "set", name, "netns", namespace])
        ip = ["ip", "-n", namespace]
        subprocess.check_call([*ip, "link", "set", "lo", "up"])
    subprocess.check_call([*ip, "addr", "add", me, "peer", peer, "dev", name])
    subprocess.check_call([*ip, "link", "set", name, "up", "txqueuelen", "1000"])
    return device


def carry(near, far):
    waiting, count, poll = [], 0, select.poll()
    for device in (near, far):
        poll.register(device, select.POLLIN)
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, device, packet = heapq.heappop(waiting)
            try:
                os.write(device, packet)
            except OSError:
                pass  # A full queue drops it, as a router does.
        patience = max(0, (waiting[0][0] - time.monotonic()) * 1000) if waiting else None
        for device, _ in poll.poll(patience):
            try:
                while True:
                    packet = os.read(device, 65536)
                    count += 1
                    other = far if device == near else near
                    heapq.heappush(waiting, (time.monotonic() + DELAY, count, other, packet))
            except BlockingIOError:
                pass


suffix = os.getpid() % 100000
ends = tun(f"fn{suffix}", NEAR, FAR, None), tun(f"ff{suffix}", FAR, NEAR, NAMESPACE)
print("up", flush=True)
carry(*ends)
