package jws

// Envoy's functions speak DER: PKCS #8 (RFC 5958) for a private key, and
// SEQUENCE { r INTEGER, s INTEGER } for an ECDSA signature (RFC 3279 section 2.2.3).

// p256PKCS8 is what stands before the private scalar of a P-256 key.
const p256PKCS8 = "\x30\x41\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07" +
	"\x04\x27\x30\x25\x02\x01\x01\x04\x20"

// P256PKCS8 returns the PKCS #8 form of a P-256 private key of 32 bytes.
func P256PKCS8(d []byte) []byte { return append([]byte(p256PKCS8), d...) }

// ES256ToDER returns the DER form of R||S; nil where it is none.
func ES256ToDER(signature []byte) []byte {
	if len(signature) != ES256Size {
		return nil
	}
	der := append(make([]byte, 0, 72), 0x30, 0)
	der = appendInteger(der, signature[:32])
	der = appendInteger(der, signature[32:])
	der[1] = byte(len(der) - 2) //nolint:gosec // at most 70
	return der
}

func appendInteger(der, b []byte) []byte {
	for len(b) > 1 && b[0] == 0 {
		b = b[1:]
	}
	if b[0] >= 0x80 {
		return append(append(der, 2, byte(len(b)+1), 0), b...) //nolint:gosec // 33
	}
	return append(append(der, 2, byte(len(b))), b...) //nolint:gosec // at most 32
}

// ES256FromDER returns R||S, or nil for what is not the one DER form of a
// signature whose numbers have 32 bytes at most.
func ES256FromDER(der []byte) []byte {
	if len(der) < 8 || len(der) > 72 || der[0] != 0x30 || int(der[1]) != len(der)-2 {
		return nil
	}
	signature := make([]byte, ES256Size)
	rest := takeInteger(signature[:32], der[2:])
	if rest == nil {
		return nil
	}
	if rest = takeInteger(signature[32:], rest); rest == nil || len(rest) > 0 {
		return nil
	}
	return signature
}

// takeInteger reads a positive INTEGER into out and returns what follows, or nil.
func takeInteger(out, der []byte) (rest []byte) {
	if len(der) < 3 || der[0] != 2 || der[1] == 0 || der[1] > 33 || len(der) < 2+int(der[1]) {
		return nil
	}
	b, rest := der[2:2+der[1]], der[2+der[1]:]
	switch {
	case b[0] >= 0x80: // negative
		return nil
	case b[0] == 0 && (len(b) == 1 || b[1] < 0x80): // zero, or not the shortest
		return nil
	case b[0] == 0:
		b = b[1:]
	}
	if len(b) > len(out) {
		return nil
	}
	copy(out[len(out)-len(b):], b)
	return rest
}
