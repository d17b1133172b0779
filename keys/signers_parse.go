package keys

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kest.example/kest"
	"kest.example/kest/internal/jcs"
)

// Trusted is what a document says of who may bind keys beside SPIFFE trust
// domains, and of keys that are trusted as they are.
type Trusted struct {
	Signers []Signer
	Static  kest.StaticKeys
}

// Close closes the sets of keys that were opened.
func (t *Trusted) Close() error {
	for i := range t.Signers {
		_ = t.Signers[i].JWKS.Close() // always nil
	}
	return nil
}

// Options returns what makes a Verifier trust so.
func (t *Trusted) Options() []Option {
	return []Option{WithSigners(t.Signers...), WithStatic(t.Static)}
}

// Bounds of a document.
const (
	maxSigners    = 256
	maxPrincipals = 256
)

// ParseSigners reads the document of `kest agent --keys FILE` (IDENTITY,
// Bindings), at most 1 MiB:
//
//	{"signers": [{"principals": ["arn:aws:iam::123456789012:role/*"],
//	  "jwk": {…} or [{…}, …], or "jwks": "https://…" or "a path" or {"keys": […]},
//	  "issuer": "https://…"}],
//	 "static": [{"principal": "…", "jwk": {…} or [{…}, …]}]}
//
// Unknown members are errors. Errors wrap kest.ErrConfiguration, as a
// *kest.MemberError where one member is wrong. The options are for the sets of
// keys; a path is relative to the working directory. Close what it returns.
func ParseSigners(text []byte, options ...JWKSOption) (*Trusted, error) {
	if err := strictJSON(text); err != nil {
		return nil, fmt.Errorf("keys: the signers: %w: %w", kest.ErrConfiguration, err)
	}
	root, err := jcs.Parse(text)
	if err != nil {
		return nil, err
	}
	d := documentReader{options: options, trusted: &Trusted{Static: make(kest.StaticKeys)}}
	if err := d.document(root); err != nil {
		_ = d.trusted.Close() // always nil
		return nil, err
	}
	return d.trusted, nil
}

type documentReader struct {
	options []JWKSOption
	trusted *Trusted
}

func wrong(path, detail string) error { return &kest.MemberError{Member: path, Detail: detail} }

// object wants an object without other members than those that are known.
func object(path string, v *jcs.Value, known ...string) error {
	if v.Kind() != jcs.Object {
		return wrong(path, "is "+v.Kind().String()+", not an object")
	}
	for i := range v.Items() {
		if name := v.Items()[i].Name; !slices.Contains(known, name) {
			return wrong(path+"."+name, "is unknown")
		}
	}
	return nil
}

// each calls f with the elements of a list, which may be absent.
func each(path string, v *jcs.Value, most int, f func(path string, item *jcs.Value) error) error {
	switch {
	case v.Kind() == jcs.Invalid:
		return nil
	case v.Kind() != jcs.Array:
		return wrong(path, "is "+v.Kind().String()+", not a list")
	case v.Len() > most:
		return wrong(path, "has more than "+strconv.Itoa(most)+" elements")
	}
	for i := range v.Items() {
		if err := f(path+"["+strconv.Itoa(i)+"]", &v.Items()[i].Value); err != nil {
			return err
		}
	}
	return nil
}

func (d *documentReader) document(root *jcs.Value) error {
	if err := object("keys", root, "signers", "static"); err != nil {
		return err
	}
	if err := each("static", root.Get("static"), maxSigners, d.static); err != nil {
		return err
	}
	return each("signers", root.Get("signers"), maxSigners, d.signer)
}

func (d *documentReader) static(path string, v *jcs.Value) error {
	if err := object(path, v, "principal", "jwk"); err != nil {
		return err
	}
	principal := v.Get("principal").Str()
	if principal == "" {
		return wrong(path+".principal", "is no name")
	}
	list, err := jwkList(path+".jwk", v.Get("jwk"))
	d.trusted.Static[principal] = append(d.trusted.Static[principal], list...)
	return err
}

// jwkList reads one JWK or a list of them.
func jwkList(path string, v *jcs.Value) (list []kest.PublicKey, err error) {
	add := func(path string, jwk *jcs.Value) error {
		key, err := kest.ParsePublicKey(jcs.Append(nil, jwk))
		if err != nil {
			return wrong(path, err.Error())
		}
		list = append(list, key)
		return nil
	}
	if v.Kind() != jcs.Array {
		if v.Kind() != jcs.Object {
			return nil, wrong(path, "is "+v.Kind().String()+", not a JWK or a list of them")
		}
		err := add(path, v)
		return list, err
	}
	if err := each(path, v, maxSignerKeys, add); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, wrong(path, "is empty")
	}
	return list, nil
}

func (d *documentReader) signer(path string, v *jcs.Value) (err error) {
	if err := object(path, v, "principals", "jwk", "jwks", "issuer"); err != nil {
		return err
	}
	var s Signer
	if s.Principals, err = patterns(path+".principals", v.Get("principals")); err != nil {
		return err
	}
	if issuer := v.Get("issuer"); issuer.Kind() != jcs.Invalid {
		if s.Issuer = issuer.Str(); s.Issuer == "" || strings.Contains(s.Issuer, "#") {
			return wrong(path+".issuer", "is no issuer's URL")
		}
	}
	jwk, jwks := v.Get("jwk"), v.Get("jwks")
	switch one := jwk.Kind() != jcs.Invalid; {
	case one == (jwks.Kind() != jcs.Invalid):
		return wrong(path, "has not exactly one of jwk and jwks")
	case one:
		s.Keys, err = jwkList(path+".jwk", jwk)
	default:
		s.JWKS, err = d.jwks(path+".jwks", jwks)
	}
	if err != nil {
		return err
	}
	d.trusted.Signers = append(d.trusted.Signers, s)
	return nil
}

func patterns(path string, v *jcs.Value) (list []kest.Pattern, err error) {
	err = each(path, v, maxPrincipals, func(path string, item *jcs.Value) error {
		p := kest.Pattern(item.Str())
		switch {
		case p == "":
			return wrong(path, "is no pattern of a principal")
		case likeSPIFFE(string(p)) && !namesDomain(p):
			return wrong(path, "lists SPIFFE ids without the name of one trust domain")
		}
		list = append(list, p)
		return nil
	})
	if err == nil && len(list) == 0 {
		err = wrong(path, "is empty or missing")
	}
	return list, err
}

// jwks opens a set: a URL, a path or the set itself.
func (d *documentReader) jwks(path string, v *jcs.Value) (set *JWKS, err error) {
	text := v.Str()
	switch {
	case v.Kind() == jcs.Object:
		set, err = NewStaticJWKS(jcs.Append(nil, v))
	case text == "":
		return nil, wrong(path, "is no URL, path or JWKS")
	case strings.Contains(text, "://"):
		set, err = OpenJWKS(text, d.options...)
	default:
		set, err = OpenJWKSFile(text, d.options...)
	}
	if err != nil {
		return nil, wrong(path, err.Error())
	}
	return set, nil
}
