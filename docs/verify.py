"""Verifies a ledger's directory from docs/FORMAT.md alone, with none of the ledger's code.

  python3 verify.py DIR [SEQ:HASH]    DIR holds log/; SEQ:HASH is an entry that you know from elsewhere

Prints one JSON object. Exit 0: everything holds; 3: something was changed or lost; 2: wrong usage.
The chain needs the package `blake3`; without it digests, places and checksums are checked, and the answer says so."""
import hashlib, json, pathlib, re, struct, sys, zlib
try: from blake3 import blake3
except ImportError: blake3 = None

CONTEXT, PAYLOAD_MAX, INTEGER_MAX, TIME_MAX = "rollout-ledger 2026-11 entry v1", 512 * 1024, 2**53 - 1, 253_402_300_799_999_999
class Bad(Exception): pass
def number(b): return int.from_bytes(b, "big")
def frame(b, at):  # (left, header, payload or None, end), or a word that says why there is none
    if at + 88 > len(b): return "truncated"
    size, flags, left = struct.unpack_from(">IBH", b, at)
    end = at + 92 + size
    if size > PAYLOAD_MAX or end > len(b): return "crc" if size > PAYLOAD_MAX else "truncated"
    if zlib.crc32(b[at:end - 4]) != number(b[end - 4:end]): return "crc"
    if flags > 1 or (flags == 1) != (size == 0) or b[at + 7] != 1: return "unknown"
    return left, b[at + 7:at + 88], None if flags else b[at + 88:end - 4], end
def later_commit(b, start, seq, parent):  # whether something readable cannot be of the commit in pieces that begins at `start`
    ends, at, own = set(), start, lambda h: h[0] == 1 and number(h[1:9]) == seq and (h[17:49] == parent or not blake3)
    while at + 92 <= len(b):
        found = frame(b, at) if b[at + 7] == 1 else "none"
        if not isinstance(found, str) and number(found[1][1:9]) >= seq: ends.add(number(found[1][1:9]) + found[0])
        at = at + 1 if isinstance(found, str) else found[3]
    if not ends: return False
    for bit in range(704):  # the first frame as it was, if one bit of its front was flipped
        found = frame((number(b[start:start + 88]) ^ 1 << bit).to_bytes(88, "big") + b[start + 88:start + 92 + PAYLOAD_MAX], 0)
        if not isinstance(found, str) and own(found[1]): return ends != {seq + found[0]}
    size, flags, left = struct.unpack_from(">IBH", b, start)
    if size <= PAYLOAD_MAX and flags <= 1 and (flags == 1) == (size == 0) and own(b[start + 7:start + 88]): ends.add(seq + left)
    return len(ends) > 1 or max(ends) >= seq + 1024
def refuse(text): raise ValueError(text)
def unique(pairs): return dict(pairs) if len(dict(pairs)) == len(pairs) else refuse("a name is repeated")
def integer(text): return int(text) if abs(int(text)) <= INTEGER_MAX else refuse("beyond 2^53 - 1")
def encode(v, depth=1):
    if isinstance(v, (dict, list)) and depth > 64: refuse("nested too deep")
    if isinstance(v, list): return "[" + ",".join(encode(x, depth + 1) for x in v) + "]"
    if not isinstance(v, dict): return json.dumps(v, ensure_ascii=False)
    return "{" + ",".join(encode(k) + ":" + encode(v[k], depth + 1) for k in sorted(v, key=lambda k: k.encode("utf-16-be"))) + "}"
def event(payload):  # the event that a payload is, which must be canonical JSON
    try:
        v = json.loads(payload.decode(), object_pairs_hook=unique, parse_float=refuse, parse_constant=refuse, parse_int=integer)
        if encode(v).encode() == payload and all(isinstance(v[k], str) for k in ("type", "source", "id")): return v
    except (ValueError, KeyError, TypeError, RecursionError): pass
    raise Bad("not_canonical")
def target(data):  # the place and the hash that a redaction names, if it says all that it must
    get = lambda v, name: v.get(name) if isinstance(v, dict) else None
    seq, *texts = [get(get(data, "target"), "seq"), get(get(data, "target"), "hash"), get(data, "source"), get(data, "id")]
    if type(seq) is int and seq >= 0 and all(isinstance(t, str) for t in texts) and re.fullmatch("[0-9a-f]{64}", texts[0]): return seq, texts[0]

def verify(directory, expected=None):
    log = pathlib.Path(directory) / "log"
    head = (log / "head").read_bytes() if (log / "head").exists() else None
    line = re.fullmatch(rb"([0-9]+) ([0-9a-f]{64})\n", head or b"")
    floor = (int(line[1]), line[2].decode()) if line else (-1, "")
    text, _, crc = ((log / "manifest").read_bytes() if (log / "manifest").exists() else b"").rpartition(b"crc32 ")
    listed = re.findall(rb"([0-9]{20})\.seg ([0-9]+) ([0-9a-f]{64}) .*\n", text) if crc == b"%08x\n" % zlib.crc32(text) else []
    known, names = [floor, expected or (-1, "")], sorted(int(p.stem) for p in log.iterdir() if re.fullmatch(r"[0-9]{20}\.seg", p.name))
    seq, parent, time, erased, redactions, steps, ends, torn, bad = 0, bytes(32), 0, {}, [], [], set(), None, None
    try:
        if not names: raise Bad("segment_missing")
        for name in names:
            if name != seq: raise Bad("segment_missing")
            b, at, left, whole = (log / f"{name:020}.seg").read_bytes(), 0, 0, (seq, parent, 0)
            while at < len(b) or left:
                if isinstance(found := frame(b, at), str):  # a torn tail is the last commit, above the floor, and incomplete or unreadable
                    if name != names[-1] or found == "unknown" or floor[0] >= whole[0] or later_commit(b, whole[2], *whole[:2]): raise Bad(found)
                    seq, parent, torn = *whole[:2], {"seq": whole[0], "bytes": len(b) - whole[2]}
                    break
                before, (left, h, payload, at) = left, found
                e = None if payload is None else event(payload)
                if number(h[1:9]) != seq or blake3 and h[17:49] != parent: raise Bad("parent" if number(h[1:9]) == seq else "place")
                if number(h[9:17]) > TIME_MAX: raise Bad("time_out_of_range")
                if number(h[9:17]) < time and not (e and e["type"] == "rollout.ledger.clock_stepped.v1"): raise Bad("clock_back")
                if e and hashlib.sha256(payload).digest() != h[49:81]: raise Bad("digest")
                if before and left != before - 1: raise Bad("commit_count")
                if seq == 0 and not (e and e["type"] == "rollout.ledger.opened.v1"): raise Bad("not_opened")
                hash = blake3(h, derive_key_context=CONTEXT).digest() if blake3 else b""
                if blake3 and any(k[0] == seq and k[1] != hash.hex() for k in known): raise Bad("head_mismatch")
                if not e: erased[seq] = hash.hex()
                elif e["type"] == "rollout.event.redacted.v1": redactions += [(seq, *t) for t in [target(e.get("data"))] if t]
                elif e["type"] == "rollout.ledger.clock_stepped.v1": steps.append((seq, time, number(h[9:17])))
                seq, parent, time = seq + 1, hash, number(h[9:17])
                if left == 0: whole = (seq, parent, at)
            ends.add((name, seq - 1, parent.hex()))
        allows = lambda by, t, named: t < by < seq and erased.get(t) in (named, "")
        lost = sorted({n for n in erased if n < seq} - {r[1] for r in redactions if allows(*r)})
        if lost: raise Bad("missing")
        if any(k[0] >= seq for k in known): raise Bad("truncated")
    except Bad as e: bad = {"seq": lost[0] if str(e) == "missing" else seq, "what": str(e)}
    mend = "; a writer will not start: verify with such a head; if it holds, write it to log/head as one line `SEQ HASH`"
    note = f"log/head is {'missing' if head is None else 'no line `SEQ HASH`'}, and only a head kept elsewhere shows what was cut"
    note += mend if head is not None or len(names) > 1 else ""
    odd = [(int(n), int(last)) for n, last, hash in listed if not bad and (int(n), int(last), hash.decode() if blake3 else "") not in ends][:1]
    odd = ["log/manifest lists a segment of entries %d to %d that the log does not have: it is stale, or entries were cut off or exchanged; compare with a head kept elsewhere" % n for n in odd]
    return {"ok": not bad, "entries": bad["seq"] if bad else seq, "head": {"seq": seq - 1, "hash": parent.hex() or None}, "first_bad": bad, "torn": torn,
            "redactions": [{"by": by, "target": t, "erased": t in erased} for by, t, _ in redactions if by < seq],
            "clock_steps": [{"seq": n, "from_us": before, "to_us": after} for n, before, after in steps if n < seq],
            "erased_payloads_not_checked": sum(n < seq for n in erased), "notes": [note] * (not line and (head is not None or len(names) > 1 or seq > 1)) + odd,
            "chain": "checked" if blake3 else "NOT CHECKED: install the Python package blake3"}

if __name__ == "__main__":
    if len(sys.argv) not in (2, 3): print(__doc__, file=sys.stderr); sys.exit(2)
    seq, _, hash = "".join(sys.argv[2:]).partition(":")
    report = verify(sys.argv[1], (int(seq), hash) if seq else None)
    sys.exit(print(json.dumps(report)) or (0 if report["ok"] else 3))
