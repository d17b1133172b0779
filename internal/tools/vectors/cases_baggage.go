package main

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"hash/adler32"
	"strings"
)

// carrierCases: exactly one carrier, and a tip that is exactly its leaves.
func carrierCases(c *caseCollector) {
	root := fromGateway()
	text := passport(root)
	c.add("carrier-without-tip", 200, bag(plainCarrier(root)), wantEntries(2), wantBaggage("kest.passport", true, "kest.chain_tip", true))
	c.add("carrier-two", 400, bag(plainCarrier(root), "kest.passport_z="+stored(text), tip(hash(root))))
	c.add("carrier-two-of-one-kind", 400, bag(plainCarrier(root), plainCarrier(root), tip(hash(root))))
	c.add("carrier-two-in-two-headers", 400, bag(plainCarrier(root)), bag("kest.passport_z="+stored(text)))
	c.add("carrier-passport-and-claim", 400, bag(plainCarrier(root), "kest.claim_check="+claimID),
		propagation("claim_check", object{"cluster": "kest_agent"}), claim(text))
	c.add("carrier-two-at-a-root", 400, creating(), bag("kest.passport=%5B%5D", "kest.passport_z="+stored("[]")))

	c.add("tip-without-passport", 403, bag(tip(hash(root))))
	c.add("tip-without-passport-at-a-root", 403, creating(), bag(tip(hash(root))), remark("who left the passport out does not become a root"))
	c.add("tip-of-an-empty-passport", 403, creating(), bag("kest.passport=%5B%5D", tip(hash(root))))
	c.add("tip-wrong", 403, bag(plainCarrier(root), tip(hash("x"))))
	c.add("tip-of-a-parent", 403, bag(plainCarrier(chainOf(gateway, agent)...), tip(hash(root))))
	c.add("tip-in-upper-case", 403, bag(plainCarrier(root), tip(strings.ToUpper(hash(root)))))
	m := &maker{}
	two := twoRoots(m.root(gateway, "internet", 10), m.root(agent, "internal", 100))
	c.add("tip-of-one-of-two-leaves", 403, carryingTips(two, 1), remark("nobody leaves a tainted branch out by naming another tip"))
	c.add("tip-of-two-leaves", 200, carryingTips(two, 0, 1), wantEntries(3))
	c.add("tip-of-two-leaves-in-other-order", 200, carryingTips(two, 1, 0), wantEntries(3), remark("it is a set"))
	c.add("tip-with-one-more", 403, bag(plainCarrier(root), tip(hash(root), hash("x"))))

	for name, raw := range map[string]string{
		"not-json": "x", "object": "%7B%7D", "null": "null", "of-numbers": "%5B1%5D", "empty": "", "cut-off": percent(text[:len(text)-1]),
		"percent-cut-off": percent(text) + "%5", "percent-not-hex": "%ZZ", "not-utf8": "%5B%22%FF%22%5D", "trailing-bytes": percent(text + "x"),
		"encoded-twice": percent(percent(text)),
	} {
		c.add("passport-"+name, 400, bag("kest.passport="+raw))
	}
	c.add("passport-malformed-at-a-root", 400, creating(), bag("kest.passport=x"), remark("what doesn't parse is never an empty passport"))
	c.add("passport-without-value", 400, bag("kest.passport"))
	c.add("user-percent-not-hex", 400, bag("kest.user=%ZZ", plainCarrier(root)))
	c.add("user-not-utf8", 400, bag("kest.user=%C3", plainCarrier(root)))
	c.add("tip-percent-cut-off", 400, bag(plainCarrier(root), "kest.chain_tip=%"))
	chain := chainOf(gateway, agent)
	wide := "[\"" + chain[0] + "\", \"" + chain[1] + "\"]"
	c.add("passport-plus-for-a-blank", 200, bag("kest.passport="+strings.ReplaceAll(percent(wide), "%20", "+")), wantEntries(3))
	c.add("passport-encoded-blank", 200, bag("kest.passport="+percent(wide)), wantEntries(3))
	c.add("passport-lower-case-hex", 200, bag("kest.passport="+strings.NewReplacer("%5B", "%5b", "%5D", "%5d", "%2C", "%2c").Replace(percent(passport(chain...)))), wantEntries(3))
	c.add("passport-as-little-encoded-as-can-be", 200, bag("kest.passport=["+"%22"+chain[0]+"%22%2C%22"+chain[1]+"%22]"), wantEntries(3))
}

const claimID = "2f0d9b52-7a0a-4c9e-9d8d-0a4f6b2f7a11"

func claim(text string) caseOption {
	return func(f *filterCase) { f.Claims = map[string]string{claimID: text} }
}

// claimCases: passports that are in the store.
func claimCases(c *caseCollector) {
	root := fromGateway()
	store := propagation("claim_check", object{"cluster": "kest_agent"})
	check := bag("kest.claim_check="+claimID, tip(hash(root)))
	none := func(f *filterCase) { f.Claims = map[string]string{"00000000-0000-4000-8000-00000000000f": "[]"} }
	down := func(f *filterCase) { f.ClaimsDown = true }
	c.add("claim-found", 200, store, check, claim(passport(root)), wantEntries(2), wantBaggage("kest.passport", true, "kest.claim_check", nil))
	c.add("claim-unknown", 403, store, check, none)
	c.add("claim-unknown-at-a-root", 403, creating(), store, bag("kest.claim_check="+claimID), none)
	c.add("claim-store-down", 503, store, check, down)
	c.add("claim-without-store", 503, check)
	c.add("claim-malformed", 400, store, check, claim("x"))
	c.add("claim-that-fails-verification", 403, store, check, claim(passport(altered(root))))
	c.add("claim-with-the-wrong-tip", 403, store, bag("kest.claim_check="+claimID, tip(hash("x"))), claim(passport(root)))
	c.add("claim-of-an-empty-passport", 403, store, bag("kest.claim_check="+claimID), claim("[]"))
	for name, id := range map[string]string{"no-uuid": "x", "empty": "", "version-7": "01a124c2-6a00-7000-8000-000000000001", "path": "..%2F..%2Fhealthz"} {
		c.add("claim-id-"+name, 400, store, bag("kest.claim_check="+id), none)
	}
	long := chainOf(gateway, agent, agent, agent, agent)
	plain := propagation("claim_check", object{"cluster": "kest_agent"}, "compress", false)
	c.add("claim-made", 200, plain, carrying(long...), none, wantEntries(6),
		wantBaggage("kest.claim_check", true, "kest.passport", nil, "kest.passport_z", nil, "kest.chain_tip", true))
	c.add("claim-made-store-down", 503, plain, carrying(long...), down)
	c.add("claim-needed-without-store", 503, propagation("compress", false), carrying(long...))
}

// stored is a zlib stream (RFC 1950) of stored blocks, base64url: no compressor
// whose output could change.
func stored(text string) string { return encode(storedStream(text)) }

func storedStream(text string) []byte {
	stream, rest := []byte{0x78, 0x01}, text
	for last := byte(0); last == 0; {
		part := rest[:min(len(rest), 0xffff)]
		if rest = rest[len(part):]; rest == "" {
			last = 1
		}
		n := uint16(len(part)) //nolint:gosec // at most 0xffff
		stream = binary.LittleEndian.AppendUint16(append(stream, last), n)
		stream = binary.LittleEndian.AppendUint16(stream, ^n)
		stream = append(stream, part...)
	}
	return binary.BigEndian.AppendUint32(stream, adler32.Checksum([]byte(text)))
}

// bomb is a zlib stream of n×258+1 blanks, one byte and n matches in fixed
// Huffman codes (RFC 1951 section 3.2.6): 13 bits for 258 bytes.
func bomb(n int) string {
	var w bitWriter
	w.bits(0b011, 3)    // last block, fixed codes
	w.code(0x30+' ', 8) // the literal
	for range n {
		w.code(0b11000101, 8) // length 258
		w.code(0, 5)          // distance 1
	}
	w.code(0, 7) // end of block
	stream := append([]byte{0x78, 0x01}, w.flush()...)
	sum := adler32.Checksum(bytes.Repeat([]byte{' '}, n*258+1))
	stream = binary.BigEndian.AppendUint32(stream, sum)
	return encode(stream)
}

// huffman is a zlib stream of ASCII in fixed Huffman codes.
func huffman(text string) []byte {
	var w bitWriter
	w.bits(0b011, 3)
	for i := range len(text) {
		w.code(0x30+uint32(text[i]), 8)
	}
	w.code(0, 7)
	stream := append([]byte{0x78, 0x9c}, w.flush()...)
	return binary.BigEndian.AppendUint32(stream, adler32.Checksum([]byte(text)))
}

// bitWriter packs bits from the lowest on.
type bitWriter struct {
	out  []byte
	acc  uint32
	used int
}

func (w *bitWriter) bits(v uint32, n int) {
	w.acc |= v << w.used
	for w.used += n; w.used >= 8; w.used -= 8 {
		w.out = append(w.out, byte(w.acc)) //nolint:gosec // the lowest byte is meant
		w.acc >>= 8
	}
}

// code writes a Huffman code, whose highest bit comes first.
func (w *bitWriter) code(v uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		w.bits(v>>i&1, 1)
	}
}

func (w *bitWriter) flush() []byte {
	if w.used > 0 {
		w.bits(0, 8-w.used)
	}
	return w.out
}

// inflates checks a stream that is written here by hand.
func inflates(encoded string) int {
	raw := must(base64.RawURLEncoding.DecodeString(encoded))
	var out bytes.Buffer
	must(out.ReadFrom(must(zlib.NewReader(bytes.NewReader(raw)))))
	return out.Len()
}

// compressedCases: kest.passport_z, and how much comes out of it.
func compressedCases(c *caseCollector) {
	root := fromGateway()
	text := passport(root)
	z := func(value string, options ...caseOption) []caseOption {
		return append(options, bag("kest.passport_z="+value, tip(hash(root))))
	}
	if inflates(stored(text)) != len(text) || inflates(bomb(10)) != 2581 || inflates(encode(huffman(text))) != len(text) {
		panic("the streams are wrong")
	}
	c.add("compressed", 200, z(stored(text), wantEntries(2))...)
	c.add("compressed-in-fact", 200, z(encode(huffman("  "+text)), wantEntries(2))...)
	stream := storedStream(text)
	for len(encode(stream))%4 == 0 {
		text = "[ " + text[1:] // so that there is padding to write
		stream = storedStream(text)
	}
	c.add("compressed-padded", 200, z(padded(encode(stream)), wantEntries(2))...)
	c.add("compressed-padding-encoded", 200, z(percent(padded(encode(stream))), wantEntries(2))...)
	c.add("compressed-trailing-bytes", 400, z(encode(append(bytes.Clone(stream), 0)))...)
	c.add("compressed-two-streams", 400, z(encode(append(bytes.Clone(stream), stream...)))...)
	c.add("compressed-cut-off", 400, z(encode(stream[:len(stream)-5]))...)
	c.add("compressed-without-checksum", 400, z(encode(stream[:len(stream)-4]))...)
	wrong := bytes.Clone(stream)
	wrong[len(wrong)-1] ^= 1
	c.add("compressed-wrong-checksum", 400, z(encode(wrong))...)
	c.add("compressed-not-zlib", 400, z(encode([]byte(text)))...)
	c.add("compressed-gzip-header", 400, z(encode(append([]byte{0x1f, 0x8b}, stream[2:]...)))...)
	c.add("compressed-not-base64", 400, z("!!!")...)
	c.add("compressed-standard-alphabet", 400, z("eAH//w")...)
	c.add("compressed-empty", 400, z("")...)
	c.add("compressed-not-a-passport", 400, z(stored("{}"))...)
	c.add("compressed-bomb", 400, z(bomb(1<<20/258+1))...)
	c.add("compressed-bomb-over-a-bound-configured", 400, z(bomb(256), lineageMember("limits", object{"bytes": 65536}))...)
	long := chainOf(gateway, agent, agent, agent)
	c.add("compressed-when-written", 200, carrying(long...), wantEntries(5),
		wantBaggage("kest.passport", nil, "kest.passport_z", true, "kest.claim_check", nil, "kest.chain_tip", true))
	c.add("compressed-only-when-needed", 200, carrying(root), wantEntries(2), wantBaggage("kest.passport", true, "kest.passport_z", nil))
}

// headerCases: what happens to everybody's baggage.
func headerCases(c *caseCollector) {
	root := fromGateway()
	c.add("baggage-in-several-headers", 200, bag(plainCarrier(root)), bag(tip(hash(root)), "a=1"), wantEntries(2), wantBaggage("a", "1"))
	c.add("baggage-tip-first", 200, bag(tip(hash(root))), bag(plainCarrier(root)), wantEntries(2))
	c.add("baggage-white-space", 200, header("baggage", " a = 1 ,\t"+plainCarrier(root)+"\t, "+tip(hash(root))+" "), wantEntries(2))
	c.add("baggage-empty-members", 200, header("baggage", ","+plainCarrier(root)+",,"+tip(hash(root))+","), wantEntries(2))
	c.add("baggage-others-unchanged", 200, bag("a=1", plainCarrier(root), "b=%zz", "c=x;p=1;q", "d=%2C", tip(hash(root)), "e"), wantEntries(2),
		wantBaggage("a", "1", "b", "%zz", "c", "x;p=1;q", "d", "%2C", "e", ""))
	c.add("baggage-others-at-a-root", 200, creating(), bag("a=1;p", "b=2"), wantEntries(1), wantBaggage("a", "1;p", "b", "2"))
	c.add("baggage-property-of-a-carrier", 200, bag(plainCarrier(root)+";p=1", tip(hash(root))), wantEntries(2))
	c.add("baggage-other-case-is-not-kest", 403, bag(strings.ToUpper("kest.passport")+"="+percent(passport(root))), remark("names match with case"))
	c.add("baggage-scope-goes-on", 200, bag(plainCarrier(root), "kest.scope=read"), wantBaggage("kest.scope", "read"))
	c.add("baggage-jwt-does-not-go-on", 200, bag(plainCarrier(root), "kest.jwt=e30.e30.x"), wantBaggage("kest.jwt", nil),
		remark("only when switched on"))
	many := []string{plainCarrier(root), tip(hash(root))}
	for i := range 30 {
		many = append(many, "other"+string(rune('a'+i%26))+string(rune('a'+i/26))+"="+strings.Repeat("x", 400))
	}
	c.add("baggage-8192-in-all", 200, bag(many...), wantEntries(2), wantBaggage("otheraa", strings.Repeat("x", 400)))
	count := []string{plainCarrier(root), tip(hash(root))}
	for i := range 200 {
		count = append(count, "m"+strings.Repeat(string(rune('a'+i%26)), 1+i/26)+"=1")
	}
	c.add("baggage-180-members", 200, bag(count...), wantEntries(2), wantBaggage("ma", "1"))
}

// edgeCases: what crosses the edge.
func edgeCases(c *caseCollector) {
	root := fromGateway()
	strip := configure("edge", object{"strip_incoming": true})
	c.add("edge-strip", 200, strip, creating(), carrying(root), wantEntries(1), wantEntry("parent_ids", []string{"0"}))
	c.add("edge-strip-no-root", 403, strip, carrying(root))
	c.add("edge-strip-keeps-others", 200, strip, creating(), bag("a=1", plainCarrier(root), "b=2;p"), wantEntries(1), wantBaggage("a", "1", "b", "2;p"))
	c.add("edge-strip-drops-actor", 200, strip, creating(), configure("insecure_baggage_identity", true), bag("kest.user=alice", "kest.scope=all"),
		wantEntry("labels", object{"kest.identity": actor(nil, nil, nil)}), wantBaggage("kest.user", nil, "kest.scope", nil))
	c.add("edge-strip-drops-what-is-malformed", 200, strip, creating(), bag("kest.passport=x", "kest.user=%ZZ", "kest.passport_z=!", tip("x")), wantEntries(1))
	c.add("edge-strip-drops-a-name-alone", 200, strip, creating(), bag("kest.user"), wantEntries(1), wantBaggage("kest.user", nil))
	c.add("edge-strip-drops-unknown-names", 200, strip, creating(), bag("kest.other=1", "Kest.User=x", "kestrel=2"), wantEntries(1),
		wantBaggage("kest.other", nil, "Kest.User", nil, "kestrel", "2"))
	allow := configure("edge", object{"allow_hosts": []string{"*.example.org", "exact.test"}})
	gone := wantBaggage("kest.passport", nil, "kest.chain_tip", nil, "kest.user", nil, "a", "1")
	kept := wantBaggage("kest.passport", true, "kest.chain_tip", true, "a", "1")
	carry := bag("a=1", plainCarrier(root), "kest.user=alice")
	c.add("edge-host-allowed", 200, allow, carry, authorityOf("orders.example.org"), kept, wantEntries(2))
	c.add("edge-host-allowed-with-port-and-case", 200, allow, carry, authorityOf("Orders.Example.ORG:8443"), kept)
	c.add("edge-host-allowed-exactly", 200, allow, carry, authorityOf("exact.test"), kept)
	c.add("edge-host-not-allowed", 200, allow, carry, authorityOf("partner.example.com"), gone)
	c.add("edge-host-not-allowed-suffix", 200, allow, carry, authorityOf("orders.example.org.evil.example"), gone)
	c.add("edge-no-host-allowed", 200, configure("edge", object{"allow_hosts": []string{}}), carry, gone)
	c.add("edge-host-not-allowed-unknown-names", 200, allow, bag("a=1", plainCarrier(root), "kest.other=1"), authorityOf("partner.example.com"),
		gone, wantBaggage("kest.other", nil))
}

// pythonCases: accept: python reads what the Python library writes.
func pythonCases(c *caseCollector) {
	python := propagation("accept", "python")
	chain := chainOf(gateway, agent)
	raw := "kest.passport=" + passport(chain...)
	c.add("python-unencoded", 200, python, bag(raw, tip(hash(chain[1]))), wantEntries(3))
	c.add("python-unencoded-among-others", 200, python, bag("a=1", raw, tip(hash(chain[1])), "b=2"), wantEntries(3), wantBaggage("a", "1", "b", "2"))
	c.add("python-unencoded-with-blanks", 200, python, bag("kest.passport=[\""+chain[0]+"\", \""+chain[1]+"\"]", tip(hash(chain[1]))), wantEntries(3))
	c.add("python-unencoded-wrong-tip", 403, python, bag(raw, tip(hash(chain[0]))))
	c.add("python-unencoded-not-accepted", 400, bag(raw, tip(hash(chain[1]))))
	c.add("python-unencoded-cut-off", 400, python, bag("kest.passport=[\""+chain[0]))
	c.add("python-encoded", 200, python, carrying(chain...), wantEntries(3))
	short, whole := plainCarrier(chain[0]), "kest.passport_z="+stored(passport(chain...))
	c.add("python-several-carriers", 200, python, bag(short, whole, tip(hash(chain[1]))), wantEntries(3))
	c.add("python-several-carriers-equal", 200, python, bag(plainCarrier(chain...), whole, tip(hash(chain[1]))), wantEntries(3))
	c.add("python-several-carriers-tip-of-the-weaker", 403, python, bag(short, whole, tip(hash(chain[0]))))
	c.add("python-several-carriers-no-tip", 403, python, bag(short, whole))
	other := (&maker{n: 40}).root(gateway, "user_input", 40).sign()
	c.add("python-several-carriers-no-prefix", 403, python, bag(plainCarrier(other), whole, tip(hash(chain[1]))))
	store := propagation("accept", "python", "claim_check", object{"cluster": "kest_agent"})
	c.add("python-claim-and-passport", 200, store, claim(passport(chain...)), bag(short, "kest.claim_check="+claimID, tip(hash(chain[1]))), wantEntries(3))
	c.add("python-claim-and-passport-no-prefix", 403, store, claim(passport(chain...)),
		bag(plainCarrier(other), "kest.claim_check="+claimID, tip(hash(chain[1]))))
	c.add("python-tip-alone", 403, python, bag(tip(hash(chain[1]))))
}
