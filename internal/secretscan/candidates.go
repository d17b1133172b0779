package secretscan

import (
	"crypto/ecdh"
	"crypto/ed25519"

	"kest.example/kest/internal/jws"
)

// keySize is the size of an Ed25519 seed and of a P-256 scalar.
const keySize = 32

// tryKeys tries each 32 bytes as the private half of a key that is known by its
// thumbprint.
func (r *search) tryKeys(how string, data []byte) {
	if len(r.keyIDs) == 0 {
		return
	}
	for i := 0; i+keySize <= len(data); i++ {
		candidate := [keySize]byte(data[i:])
		if !random(&candidate) {
			continue
		}
		if name := r.try(candidate); name != "" {
			r.report(name, how+"bytes", data[:i])
		}
	}
}

// isText says that no 32 bytes of data in a row can be random: it is mostly printable.
func isText(data []byte) bool {
	binary := 0
	for _, c := range data {
		if c < 0x20 || c > 0x7e {
			binary++
		}
	}
	return binary < len(data)/8
}

// random says whether 32 bytes may come from a random source. Of those that do,
// one in some hundred millions has fewer than 4 bytes that aren't printable
// ASCII, or fewer than 16 values.
func random(candidate *[keySize]byte) bool {
	var values [256]bool
	different, binary := 0, 0
	for _, c := range candidate {
		if c < 0x20 || c > 0x7e {
			binary++
		}
		if !values[c] {
			values[c] = true
			different++
		}
	}
	return binary >= 4 && different >= 16
}

// try names the key that these bytes are, or returns "".
func (s *Scanner) try(candidate [keySize]byte) string {
	if name, ok := s.tried[candidate]; ok {
		return name
	}
	name := ""
	for _, id := range thumbprints(candidate[:]) {
		if s.keyIDs[id] {
			name = "the private key of " + id
		}
	}
	s.tried[candidate] = name
	return name
}

// thumbprints are those of the Ed25519 and of the P-256 key.
func thumbprints(private []byte) (list []string) {
	if public, ok := ed25519.NewKeyFromSeed(private).Public().(ed25519.PublicKey); ok {
		if k, err := jws.NewEd25519(public); err == nil {
			list = append(list, k.Thumbprint())
		}
	}
	if k, err := ecdh.P256().NewPrivateKey(private); err == nil {
		point := k.PublicKey().Bytes() // 4, x, y
		if k, err := jws.NewP256(point[1:1+keySize], point[1+keySize:]); err == nil {
			list = append(list, k.Thumbprint())
		}
	}
	return list
}
