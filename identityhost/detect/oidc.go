package detect

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"kest.example/kest/identityhost/aws"
	"kest.example/kest/identityhost/oidc"
	"kest.example/kest/keys"
)

func findOIDC(_ context.Context, s *search) (bool, string, error) {
	path := s.value(TokenPathVariable)
	if path == "" {
		note := unset(TokenPathVariable)
		for _, name := range [...]string{TokenVariable, RequestURLVariable} {
			if s.value(name) != "" {
				note += "; " + name + " alone counts only where oidc is asked for"
			}
		}
		return false, note, nil
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return false, set(TokenPathVariable) + ", but the file is not there", nil
	}
	return true, TokenPathVariable + " is set and the file is there", nil
}

func openOIDC(s *search) (Provider, func() error, error) {
	var opts []oidc.Option
	end := func() error { return nil }
	if location := s.value(JWKSVariable); location != "" {
		set, err := openJWKS(location)
		if err != nil {
			return nil, nil, err
		}
		end = set.Close
		opts = append(opts, oidc.WithKeys(set))
	}
	if id := s.value(OIDCKeyVariable); id != "" {
		key, err := aws.OpenKey(id, s.aws...)
		if err != nil {
			return nil, nil, errors.Join(err, end())
		}
		opts = append(opts, oidc.WithKMS(key.Signer))
	}
	if address := s.value(RequestURLVariable); address != "" {
		opts = append(opts, oidc.WithRequest(address, s.value(RequestTokenVariable)))
	}
	p, err := oidc.Open(tokenSource(s), opts...)
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return p, end, nil
}

// openJWKS reads the issuer's keys from an URL or a file.
func openJWKS(location string) (*keys.JWKS, error) {
	if strings.Contains(location, "://") {
		return keys.OpenJWKS(location)
	}
	return keys.OpenJWKSFile(location)
}

// tokenSource is the file, else the variable, else nil.
func tokenSource(s *search) oidc.Source {
	switch path := s.value(TokenPathVariable); {
	case path != "":
		return oidc.File(path)
	case s.value(TokenVariable) != "":
		return oidc.Variable(TokenVariable, s.env)
	}
	return nil
}
