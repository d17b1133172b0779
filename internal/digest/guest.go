//go:build wasip1

package digest

// SHA256 returns the SHA-256 of a text (FIPS 180-4).
func SHA256(text string) [Size]byte { return soft(text) }
