package secretscan

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Form is a way in which programs write bytes.
type Form struct {
	Name string
	Text []byte
}

// Forms writes a secret of at least MinSecret bytes in every way that is looked
// for. Of base64 there is what doesn't depend on the bytes around the secret.
func Forms(secret []byte) []Form {
	list := []Form{{"raw", secret}}
	add := func(name, text string) { list = append(list, Form{name, []byte(text)}) }
	add("hex", hex.EncodeToString(secret))
	add("HEX", strings.ToUpper(hex.EncodeToString(secret)))
	for name, between := range map[string]string{"blanks": " ", "colons": ":", "percents": "%"} {
		add("hex with "+name, strings.ReplaceAll(fmt.Sprintf("% x", secret), " ", between))
		add("HEX with "+name, strings.ReplaceAll(fmt.Sprintf("% X", secret), " ", between))
	}
	for shift := range 3 {
		add(fmt.Sprintf("base64 after %d bytes", shift), inBase64(base64.RawStdEncoding, secret, shift))
		add(fmt.Sprintf("base64url after %d bytes", shift), inBase64(base64.RawURLEncoding, secret, shift))
	}
	add("percent-encoded in a path", url.PathEscape(string(secret)))
	add("percent-encoded in a query", url.QueryEscape(string(secret)))
	decimal := strings.Trim(fmt.Sprintf("%v", secret), "[]")
	add("%v", decimal)
	add("a list", strings.ReplaceAll(decimal, " ", ","))
	add("a list with blanks", strings.ReplaceAll(decimal, " ", ", "))
	add("%#v", strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", secret), "[]byte{"), "}"))
	add("%q", strings.Trim(strconv.Quote(string(secret)), `"`))
	if text, err := json.Marshal(string(secret)); err == nil {
		add("JSON", strings.Trim(string(text), `"`))
	}
	return list
}

// inBase64 is the middle of what secret becomes behind so many other bytes.
func inBase64(e *base64.Encoding, secret []byte, shift int) string {
	text := e.EncodeToString(append(make([]byte, shift), secret...))
	first := (shift*8 + 5) / 6
	end := (shift + len(secret)) * 8 / 6
	return text[first:end]
}
