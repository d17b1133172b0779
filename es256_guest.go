//go:build wasip1

package kest

// signES256 is the host's business; see DESIGN 4.
func signES256(_, _ []byte) ([]byte, error) {
	return nil, unavailable("ES256 without a host that signs", nil)
}
