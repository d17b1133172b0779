//go:build !wasip1

package kest

import "kest.example/kest/internal/jws"

func signES256(d, input []byte) ([]byte, error) { return jws.SignES256(d, input) }
