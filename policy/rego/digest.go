package rego

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"kest.example/kest/internal/jcs"
)

// digests returns what makes the digest of the policy of a name: the SHA-256 of
// the canonical form of {path: SHA-256 of its text, …, "data": SHA-256 of the root
// document's canonical form, "policy": name}. Without a root document, "data" is
// that of {}: the two can't be told apart. Where a module refers to the library,
// "data.kest.lineage" is the SHA-256 of its text. No path is one of these names,
// since paths end in .rego.
func (b *Bundle) digests() func(policy string) string {
	parts := make([]jcs.Member, 0, len(b.Modules)+2)
	add := func(name string, text []byte) {
		parts = append(parts, jcs.Member{Name: name, Value: jcs.StringValue(hexSHA256(text))})
	}
	for _, m := range b.Modules {
		add(m.Path, m.Text)
	}
	if slices.ContainsFunc(b.Modules, func(m Module) bool { return m.parsed != nil && usesLibrary(m.parsed) }) {
		add(LibraryPackage, []byte(libraryText))
	}
	add("data", b.Data)
	return func(policy string) string {
		named := jcs.Member{Name: "policy", Value: jcs.StringValue(policy)}
		return hexSHA256(jcs.AppendObject(nil, append(slices.Clone(parts), named)...))
	}
}

func hexSHA256(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
