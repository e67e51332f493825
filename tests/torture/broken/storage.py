"""Promises broken on purpose in replication/storage/."""

from tests.torture.broken.mutation import Mutation

MUTATIONS = (
    Mutation(
        "a block that is not what its table says is taken",
        "replication/storage/scan.py",
        "        if not table.fits(content, block):\n",
        "        if False:\n",
        ("tests/storage/test_blocks.py",),
    ),
    Mutation(
        "a table of blocks is believed of any object",
        "replication/storage/blocks.py",
        "    if int(starts[-1]) + _AFTER_BLOCKS + size != length:\n",
        "    if False:\n",
        ("tests/storage/test_blocks.py",),
    ),
    Mutation(
        "an object is read past its codec",
        "replication/storage/codec.py",
        "closing_iterator(self.uncover(name, iter(stored)))",
        "closing_iterator(iter(stored))",
        ("tests/storage/test_codec.py",),
    ),
    Mutation(
        "a note that makes no sense is believed",
        "replication/storage/wal03/notes.py",
        "    if not isinstance(pages, int) or not 0 < pages <= PAGES_MAX or page_size not in PAGE_SIZES:\n",
        "    if not isinstance(pages, int) or page_size not in PAGE_SIZES:\n",
        ("tests/storage/test_notes.py", "tests/restore/test_plan.py"),
    ),
    Mutation(
        "an object that was cut off is taken as whole",
        "replication/storage/container.py",
        '    raise CorruptObjectError(name, "it ends in the middle of its LZ4 frame")\n\n\ndef broken_frame',
        "\n\ndef broken_frame",
        ("tests/restore/test_faults.py", "tests/restore/test_litestream.py"),
    ),
    Mutation(
        "a folder gives an object the name of another",
        "replication/storage/file/links.py",
        "        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)\n",
        "        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)\n",
        ("tests/storage/test_contract.py",),
    ),
    Mutation(
        "a file replica is reached through a link of another user",
        "replication/storage/file/root.py",
        "        root = open_folder(self.path)\n",
        "        root = os.open(self.path, FOLDER_FLAGS)\n",
        ("tests/rooted/test_file_replica.py",),
    ),
    Mutation(
        "an object of a folder gets its name before it is durable",
        "replication/storage/file/storage.py",
        "                    os.fsync(output.fileno())\n",
        "",
        ("tests/torture/test_power_loss.py",),
    ),
    Mutation(
        "unfinished uploads of others are aborted where a server does not heed the prefix",
        "replication/storage/s3/client.py",
        "        return [item for item in found if item.key.startswith(prefix)]\n",
        "        return found\n",
        ("tests/storage/test_s3.py",),
    ),
    Mutation(
        "a server that ignores If-None-Match is taken for one that heeds it",
        "replication/storage/s3/create.py",
        "        if _put(request, bucket, key, body):\n            heeded[bucket] = False\n",
        "        if _put(request, bucket, key, body):\n            heeded[bucket] = True\n",
        ("tests/storage/test_s3_create.py",),
    ),
    Mutation(
        "an option of a URL that asks for another form of what is stored is passed over",
        "replication/storage/url_parts.py",
        "            if key in refused:\n",
        "            if key in refused:\n                continue\n            if key in refused:\n",
        ("tests/storage/test_url.py",),
    ),
    Mutation(
        "what has no number is not measured",
        "replication/storage/wal03/succession.py",
        "            self._meet(row[last - 1], row[last], found)\n",
        "            pass\n",
        ("tests/replica/test_succession.py",),
    ),
    Mutation(
        "numbers that another program counted are taken for ours",
        "replication/storage/wal03/succession.py",
        "if begin is not None and (begin.first, begin.run) == (number.first, number.run):",
        "if begin is not None and begin.first == number.first:",
        ("tests/replica/test_one_writer.py",),
    ),
    Mutation(
        "what is written behind WAL of a copy is called restorable",
        "replication/storage/wal03/succession.py",
        "                self.foreign = row[last - 1].name\n",
        "                pass\n",
        ("tests/replica/test_one_writer.py",),
    ),
)
