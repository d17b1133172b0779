package main

import (
	"encoding/asn1"
	"encoding/base64"
	"math/big"
	"strings"
)

// plainRoot is a good root, which the vectors of CONTRACT 2 spoil in one way each.
func plainRoot() *entry { return (&maker{}).root(gateway, "user_input", 40) }

// rootWhere returns a root whose compact form fits; the vectors need segments
// that hold certain characters or lengths.
func rootWhere(fits func(header, payload, signature string) bool) (header, payload, signature string) {
	for i := range 1000 {
		e := plainRoot().set("metadata", strings.Repeat("?>", i))
		part := strings.Split(e.sign(), ".")
		if fits(part[0], part[1], part[2]) {
			return part[0], part[1], part[2]
		}
	}
	panic("no entry fits")
}

// loose changes the unused low bits of the last character of a segment.
func loose(segment string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(segment) - 1
	return segment[:last] + string(alphabet[strings.IndexByte(alphabet, segment[last])|1])
}

// hasUnusedBits reports whether a segment's last character has some.
func hasUnusedBits(segment string) bool { return len(segment)%4 != 0 }

func standardAlphabet(segment string) string {
	return strings.NewReplacer("-", "+", "_", "/").Replace(segment)
}

func padded(segment string) string {
	return segment + strings.Repeat("=", (4-len(segment)%4)%4)
}

// encodingVectors: one signature has exactly one string. Whatever stands in
// the header or payload is signed as it stands there.
func encodingVectors(c *collector) {
	header, payload, signature := rootWhere(func(h, p, s string) bool {
		return hasUnusedBits(h) && hasUnusedBits(p) && hasUnusedBits(s) &&
			strings.ContainsAny(p, "-_") && strings.ContainsAny(s, "-_")
	})
	good := header + "." + payload + "." + signature
	c.good("jws-good", one(good), 40, nil)
	for _, way := range []struct {
		name string
		edit func(string) string
	}{
		{"padding", padded},
		{"trailing-bits", loose},
		{"line-end", func(s string) string { return s[:8] + "\n" + s[8:] }},
		{"carriage-return", func(s string) string { return s[:8] + "\r\n" + s[8:] }},
		{"white-space", func(s string) string { return s[:8] + " " + s[8:] }},
	} {
		c.bad("jws-"+way.name+"-header", "malformed", 0, one(signSegments(gateway, way.edit(header), payload)))
		c.bad("jws-"+way.name+"-payload", "malformed", 0, one(signSegments(gateway, header, way.edit(payload))))
		c.bad("jws-"+way.name+"-signature", "malformed", 0, one(header+"."+payload+"."+way.edit(signature)))
	}
	c.bad("jws-standard-alphabet-payload", "malformed", 0, one(signSegments(gateway, header, standardAlphabet(payload))))
	c.bad("jws-standard-alphabet-signature", "malformed", 0, one(header+"."+payload+"."+standardAlphabet(signature)))
	for name, text := range map[string]string{
		"leading-white-space": " " + good, "trailing-white-space": good + " ", "trailing-line-end": good + "\n",
		"one-segment": header, "two-segments": header + "." + payload, "four-segments": good + "." + signature,
		"empty": "", "dots": "..", "empty-header": signSegments(gateway, "", payload), "empty-payload": signSegments(gateway, header, ""),
		"length-that-none-has": good + "AAA", "not-ascii": good[:len(good)-1] + "ä",
		"json-serialisation": string(canonical(object{"payload": payload, "protected": header, "signature": signature})),
	} {
		c.bad("jws-"+name, "malformed", 0, one(text))
	}
}

// jsonVectors: header and payload are read strictly (RFC 7493).
func jsonVectors(c *collector) {
	payload := string(plainRoot().payload())
	header := gateway.header()
	badPayload := func(name, text string) {
		c.bad("json-payload-"+name, "malformed", 0, one(signText(gateway, header, text)))
	}
	badHeader := func(name, text string) {
		c.bad("json-header-"+name, "malformed", 0, one(signText(gateway, text, payload)))
	}
	inside := func(text, member string) string { return text[:len(text)-1] + "," + member + "}" }
	for name, spoil := range map[string]func(string) string{
		"repeated-name":         func(s string) string { return inside(s, `"x":1,"x":1`) },
		"repeated-name-escaped": func(s string) string { return inside(s, `"x":1,"\u0078":1`) },
		"repeated-name-deeper":  func(s string) string { return inside(s, `"x":{"y":1,"y":1}`) },
		"invalid-utf8":          func(s string) string { return inside(s, "\"x\":\"\xff\"") },
		"overlong-utf8":         func(s string) string { return inside(s, "\"x\":\"\xc0\xaf\"") },
		"surrogate-in-utf8":     func(s string) string { return inside(s, "\"x\":\"\xed\xa0\x80\"") },
		"lone-surrogate":        func(s string) string { return inside(s, `"x":"\ud800"`) },
		"lone-low-surrogate":    func(s string) string { return inside(s, `"x":"\udc00"`) },
		"byte-order-mark":       func(s string) string { return "\xef\xbb\xbf" + s },
		"trailing-bytes":        func(s string) string { return s + "{}" },
		"trailing-nul":          func(s string) string { return s + "\x00" },
		"nan":                   func(s string) string { return inside(s, `"x":NaN`) },
		"infinity":              func(s string) string { return inside(s, `"x":1e999`) },
		"leading-zero":          func(s string) string { return inside(s, `"x":01`) },
		"trailing-comma":        func(s string) string { return s[:len(s)-1] + ",}" },
		"comment":               func(s string) string { return s + "/**/" },
		"control-character":     func(s string) string { return inside(s, "\"x\":\"\n\"") },
		"cut-off":               func(s string) string { return s[:len(s)-1] },
	} {
		badPayload(name, spoil(payload))
		badHeader(name, spoil(header))
	}
	badPayload("repeated-trust-score", inside(payload, `"trust_score":100`))
	badHeader("repeated-alg", inside(header, `"alg":"none"`))
	for name, text := range map[string]string{"null": "null", "array": "[]", "string": `"x"`, "number": "1", "empty": ""} {
		badPayload(name, text)
		badHeader(name, text)
	}
}

// headerVectors: alg, typ and crit.
func headerVectors(c *collector) {
	payload := string(plainRoot().payload())
	with := func(name string, value any) []string {
		return one(signText(gateway, gateway.headerWith(name, value), payload))
	}
	for _, alg := range []string{"none", "None", "HS256", "PS256", "ES384", "ES256K", "RS512", "eddsa", "Ed25519"} {
		c.bad("alg-"+alg+caseMark(alg), "algorithm", 0, with("alg", alg))
	}
	unsigned := encode([]byte(`{"alg":"none","typ":"JWS"}`)) + "." + encode([]byte(payload)) + "."
	c.bad("alg-none-without-signature", "algorithm", 0, one(unsigned))
	for _, alg := range []string{"ES256", "RS256"} {
		c.bad("alg-"+alg+"-of-an-ed25519-key", "algorithm", 0, with("alg", alg))
	}
	inP256 := (&maker{}).root(p256, "user_input", 40)
	c.bad("alg-EdDSA-of-a-p256-key", "algorithm", 0,
		one(signText(p256, p256.headerWith("alg", "EdDSA"), string(inP256.payload()))), keys(keysOf(p256)))
	c.bad("alg-RS256-of-a-p256-key", "algorithm", 0,
		one(signText(p256, p256.headerWith("alg", "RS256"), string(inP256.payload()))), keys(keysOf(p256)))
	inRSA := (&maker{}).root(rsa2048, "user_input", 40)
	c.bad("alg-ES256-of-an-rsa-key", "algorithm", 0,
		one(signText(rsa2048, rsa2048.headerWith("alg", "ES256"), string(inRSA.payload()))), keys(keysOf(rsa2048)))
	c.bad("alg-missing", "malformed", 0, with("alg", absent{}))
	c.bad("alg-not-a-string", "malformed", 0, with("alg", []string{"EdDSA"}))
	c.bad("alg-null", "malformed", 0, with("alg", nil))
	c.bad("typ-missing", "malformed", 0, with("typ", absent{}))
	c.bad("typ-denial", "malformed", 0, with("typ", "kest-denial+jws"), note("a signed denial is no entry (CONTRACT 6)"))
	c.bad("typ-session", "malformed", 0, with("typ", "kest-session+jws"))
	c.bad("typ-binding", "malformed", 0, with("typ", "kest-binding+jwt"), note("a binding can't pass for an entry (CONTRACT 8)"))
	c.bad("typ-jwt", "malformed", 0, with("typ", "JWT"))
	c.bad("typ-lower-case", "malformed", 0, with("typ", "jws"))
	c.bad("typ-null", "malformed", 0, with("typ", nil))
	c.bad("crit", "malformed", 0, with("crit", []string{"b64"}))
	c.bad("crit-empty", "malformed", 0, with("crit", []string{}))
	c.bad("crit-with-b64", "malformed", 0, one(signText(gateway,
		`{"alg":"EdDSA","b64":true,"crit":["b64"],"kid":"`+gateway.kid+`","typ":"JWS"}`, payload)))
	c.good("header-unknown-member", with("nonce", "x"), 40, nil)
}

// caseMark tells names apart that differ in case alone, for file systems that don't.
func caseMark(alg string) string {
	if alg == "None" || alg == "eddsa" {
		return "-case"
	}
	return ""
}

// signatureVectors: what the signature itself may be.
func signatureVectors(c *collector) {
	e := plainRoot()
	signed := e.sign()
	cut := strings.LastIndexByte(signed, '.') + 1
	signature := must(base64.RawURLEncoding.DecodeString(signed[cut:]))
	with := func(sig []byte) []string { return one(signed[:cut] + encode(sig)) }
	flipped := append([]byte(nil), signature...)
	flipped[0] ^= 1
	c.bad("eddsa-bit-flipped", "signature", 0, with(flipped))
	c.bad("eddsa-empty", "signature", 0, with(nil))
	c.bad("eddsa-short", "signature", 0, with(signature[:63]))
	c.bad("eddsa-long", "signature", 0, with(append(signature[:64:64], 0)))
	c.bad("eddsa-zero", "signature", 0, with(make([]byte, 64)))
	c.bad("eddsa-s-not-reduced", "signature", 0, with(addOrder(signature)), note("S + L is the same scalar: RFC 8032 5.1.7 refuses it"))
	c.bad("signed-by-somebody-else", "signature", 0, one(signText(agent, gateway.header(), string(e.payload()))))

	root := (&maker{}).root(p256, "user_input", 40)
	good := root.sign()
	cut = strings.LastIndexByte(good, '.') + 1
	r, s := splitES256(must(base64.RawURLEncoding.DecodeString(good[cut:])))
	withES := func(sig []byte) []string { return one(good[:cut] + encode(sig)) }
	high := withES(rawES256(r, new(big.Int).Sub(p256Order(), s)))
	only := keys(keysOf(p256))
	c.good("es256-good", one(good), 40, nil, only)
	c.good("es256-low-s-strict", one(good), 40, nil, only, strict)
	c.good("es256-high-s-lenient", high, 40, nil, only)
	c.bad("es256-high-s-strict", "signature", 0, high, only, strict)
	c.bad("es256-der", "signature", 0, withES(must(asn1.Marshal(struct{ R, S *big.Int }{r, s}))), only)
	c.bad("es256-swapped", "signature", 0, withES(rawES256(s, r)), only)
	c.bad("es256-zero", "signature", 0, withES(make([]byte, 64)), only)
	c.bad("es256-r-zero", "signature", 0, withES(rawES256(new(big.Int), s)), only)
	c.bad("es256-padded-with-zero", "signature", 0, withES(append([]byte{0}, rawES256(r, s)...)), only)

	rs := (&maker{}).root(rsa2048, "user_input", 40).sign()
	c.good("rs256-good", one(rs), 40, nil, keys(keysOf(rsa2048)))
	cut = strings.LastIndexByte(rs, '.') + 1
	long := must(base64.RawURLEncoding.DecodeString(rs[cut:]))
	c.bad("rs256-bit-flipped", "signature", 0, one(rs[:cut]+encode(append([]byte{long[0] ^ 1}, long[1:]...))), keys(keysOf(rsa2048)))
	c.bad("rs256-padded-with-zero", "signature", 0, one(rs[:cut]+encode(append([]byte{0}, long...))), keys(keysOf(rsa2048)))

	c.contract = "11"
	c.good("tc-01-root-alone", one(signed), 40, nil)
	chain := threeHops()
	c.bad("tc-02-second-altered", "signature", 1, []string{chain[0], altered(chain[1]), chain[2]},
		note("the third entry's parent is gone too, but the lowest faulty entry is the second"))
	c.bad("tc-03-first-altered", "signature", 0, []string{altered(chain[0]), chain[1], chain[2]})
	c.bad("third-altered", "signature", 2, []string{chain[0], chain[1], altered(chain[2])})
	c.contract = "2"
	c.good("chain-es256", chainOf(p256, p256, p256), 40, nil, only)
	c.good("chain-rs256", chainOf(rsa2048, rsa2048), 40, nil, keys(keysOf(rsa2048)))
	c.good("chain-mixed", chainOf(gateway, p256, rsa2048, agent), 40, nil, keys(keysOf(gateway, agent, p256, rsa2048)))
	c.bad("chain-mixed-last-by-another", "signature", 3,
		append(chainOf(gateway, p256, rsa2048), impostor(chainOf(gateway, p256, rsa2048)[2])),
		keys(keysOf(gateway, agent, p256, rsa2048)))
}

// impostor is an entry that the stranger signed as the agent.
func impostor(parent string) string {
	m := &maker{n: 90}
	e := m.entry(agent, "op", 40, hash(parent))
	return signText(stranger, agent.header(), string(e.payload()))
}

// addOrder adds Ed25519's group order L to the S of a signature.
func addOrder(signature []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := make([]byte, 32)
	for i, b := range signature[32:] {
		s[31-i] = b
	}
	sum := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	out := append([]byte(nil), signature[:32]...)
	for i := range sum {
		out = append(out, sum[31-i])
	}
	return out
}

// altered says trust 39 where the signed payload said 40.
func altered(compact string) string {
	part := strings.Split(compact, ".")
	payload := string(must(base64.RawURLEncoding.DecodeString(part[1])))
	changed := strings.Replace(payload, `"trust_score":40`, `"trust_score":39`, 1)
	if changed == payload {
		panic("nothing to alter")
	}
	return part[0] + "." + encode([]byte(changed)) + "." + part[2]
}

// chainOf is a line of one entry by each workload, the first a root.
func chainOf(list ...*workload) []string {
	m := &maker{}
	var out []string
	for i, w := range list {
		e := m.root(w, "user_input", 40)
		if i > 0 {
			e = m.entry(w, "step", 40, hash(out[i-1]))
		}
		out = append(out, e.sign())
	}
	return out
}

func threeHops() []string { return chainOf(gateway, agent, orders) }
