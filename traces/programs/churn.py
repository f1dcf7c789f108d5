"""Keeps a Python heap busy: JSON documents that grow and shrink, lists that are resized, files
that are mapped, text that is searched, threads with arenas of their own, a forked worker."""

import json
import mmap
import os
import random
import re
import tempfile
import threading
import time
import zlib


def documents(seed, rounds):
    """Builds, writes, reads and drops documents of very different sizes."""
    source = random.Random(seed)
    kept = []
    for _ in range(rounds):
        document = {
            f"key-{number}": [source.random() for _ in range(source.randrange(20))]
            for number in range(source.randrange(1, 4000))
        }
        text = json.dumps(document)
        kept.append((json.loads(text), zlib.compress(text.encode())))
        if len(kept) > 5:
            del kept[source.randrange(len(kept))]


def arrays(seed, rounds):
    """Grows and shrinks byte arrays: large blocks that the allocator maps and remaps."""
    source = random.Random(seed)
    blocks = [bytearray() for _ in range(8)]
    for _ in range(rounds):
        block = source.choice(blocks)
        length = source.choice([1 << 16, 1 << 18, 300_000, 1 << 20, 3 << 20, 12 << 20])
        if len(block) < length:
            block.extend(b"\xa5" * (length - len(block)))
        else:
            del block[length // 2 :]


def searches(rounds):
    """Searches a long text again and again."""
    words = ["page", "table", "entry", "level", "walk", "block", "granule"]
    source = random.Random(3)
    for _ in range(rounds):
        text = " ".join(source.choice(words) for _ in range(40_000))
        text = re.sub(r"(\w+) \1", lambda match: match.group(1).upper(), text)
        re.findall(r"[A-Z]+ (\w+)", text)


def files(directory, rounds):
    """Maps files of different lengths, writes to them through the mapping, and unmaps them."""
    source = random.Random(4)
    for number in range(rounds):
        length = source.randrange(1, 2000) * mmap.PAGESIZE
        with open(os.path.join(directory, str(number % 7)), "w+b") as file:
            file.truncate(length)
            with mmap.mmap(file.fileno(), length) as mapped:
                for offset in range(0, length, 16 * mmap.PAGESIZE):
                    mapped[offset] = 1
                mapped.resize(length * 2)
                mapped[-1] = 2


def main():
    big = mmap.mmap(-1, 64 << 20)
    for offset in range(0, len(big), mmap.PAGESIZE):
        big[offset] = 1
    with tempfile.TemporaryDirectory() as directory:
        jobs = [
            threading.Thread(target=documents, args=(1, 40)),
            threading.Thread(target=documents, args=(2, 40)),
            threading.Thread(target=arrays, args=(5, 2000)),
            threading.Thread(target=searches, args=(10,)),
            threading.Thread(target=files, args=(directory, 500)),
        ]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
    worker = os.fork()
    if worker == 0:
        documents(6, 5)
        arrays(7, 200)
        os._exit(0)
    arrays(8, 400)
    os.waitpid(worker, 0)
    big.close()
    time.sleep(0.05)


if __name__ == "__main__":
    main()
