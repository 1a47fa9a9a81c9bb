"""A data set in an object store that speaks S3: no folders, no renaming, and the same bytes as on a disk."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("s3fs", reason="the extra 's3' is not installed")
moto_server = pytest.importorskip("moto.server", reason="the S3 server of the tests is not installed")

LETTERS = "CDEFGABc"


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    """Environment of a process for which s3:// is a server on this machine that has one bucket, "bucket"."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    known = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "y",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    environment = os.environ | known | {"AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    python("import s3fs; s3fs.S3FileSystem().mkdir('bucket')", environment)
    yield environment
    server.stop()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six tunes."""
    folder = tmp_path_factory.mktemp("source")
    for number in range(1, 7):
        turn = [LETTERS[(number * 3 + i * (1 + number % 5)) % 8] for i in range(32)]
        bars = "|".join("".join(turn[i : i + 8]) for i in range(0, 32, 8))
        (folder / f"tune{number}.abc").write_text(f"X:{number}\nT:Tune {number}\nM:4/4\nL:1/8\nK:C\n{bars}|]\n")
    return folder


def python(code: str, environment: dict[str, str]) -> Any:
    """What a Python process of its own prints last, read as JSON; its workers see the store as it does."""
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1]) if result.stdout else None


def scoresim(environment: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    """One command in a process of its own."""
    command = [sys.executable, "-m", "scoresim", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def without_seconds(manifest: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in manifest.items() if name != "seconds"}


@pytest.mark.slow
def test_a_set_in_a_bucket_is_the_set_on_a_disk(store: dict[str, str], source: Path, tmp_path: Path) -> None:
    options = ["--corpus", f"folder={source}", "--duplicate-threshold", "0", "--json"]
    local = scoresim(store, "build", str(tmp_path / "set"), *options)
    there = scoresim(store, "build", "s3://bucket/deep/set", *options)
    assert there.returncode == 0, there.stderr
    manifest = json.loads(there.stdout)
    assert without_seconds(manifest) == without_seconds(json.loads(local.stdout))
    killed = [sys.executable, "-m", "scoresim", "build", "s3://bucket/killed", *options]
    process = subprocess.Popen(killed, env=store, start_new_session=True, stderr=subprocess.DEVNULL)
    listing = f"{store['AWS_ENDPOINT_URL']}/bucket?list-type=2&prefix=killed/parts/"
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with urllib.request.urlopen(listing) as answer:
            if answer.read().count(b"<Key>"):
                os.killpg(process.pid, signal.SIGKILL)
                break
        time.sleep(0.01)
    assert process.wait() == -signal.SIGKILL, "the build was over before it could be killed"
    resumed = scoresim(store, "build", "s3://bucket/killed", *options)
    assert json.loads(resumed.stdout)["shards"] == manifest["shards"]
    python("import s3fs; s3fs.S3FileSystem().rm('bucket/killed', recursive=True)", store)
    again = scoresim(store, "build", "s3://bucket/deep/set", *options, "--style-balance", "1")
    assert json.loads(again.stdout)["shards"] == manifest["shards"]
    verified = scoresim(store, "verify", "s3://bucket/deep/set")
    assert verified.returncode == 0, verified.stdout
    found = python(
        "import json, s3fs, scoresim.data; from scoresim.data.harmonize import read_sampling\n"
        "part = (pairs := scoresim.data.open('s3://bucket/deep/set')).split('train')\n"
        "weight = read_sampling(pairs.folder, 'train', part.column('id'))\n"
        "names = sorted(s3fs.S3FileSystem().find('bucket'))\n"
        "print(json.dumps([len(part), [pair.id for pair in part] == part.column('id'), len(weight), names]))",
        store,
    )
    pairs = manifest["pairs"]["train"]
    names = sorted(path.name for path in (tmp_path / "set").iterdir())
    assert found == [pairs, True, pairs, [f"bucket/deep/set/{name}" for name in names]]
    inside = scoresim(store, "build", "s3://bucket/deep", *options)
    assert inside.returncode == 2 and "not empty and not a data set" in inside.stderr


def test_a_store_that_is_not_to_be_used_is_a_sentence(store: dict[str, str], source: Path) -> None:
    options = ["--corpus", f"folder={source}"]
    slip = scoresim(store, "build", "s3://buckett/set", *options)
    assert slip.returncode == 2 and "cannot write s3://buckett/set" in slip.stderr
    assert python("import json, s3fs; print(json.dumps(s3fs.S3FileSystem().ls('')))", store) == ["bucket"]
    unknown = store | {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    refused = scoresim(unknown, "build", "s3://bucket/other", *options)
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1 and "credentials" in refused.stderr
