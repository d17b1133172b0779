package avp

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"kest.example/kest"
)

// heard is what came over the wire.
type heard struct {
	status int // 0 where no whole answer came
	body   []byte
}

type heardKey struct{}

// listener keeps answers as they came for whoever asks under a *heard.
type listener struct{ next aws.HTTPClient }

var errTooLong = errors.New("the answer is longer than 1 MiB")

func (l listener) Do(request *http.Request) (*http.Response, error) {
	response, err := l.next.Do(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, kest.MaxAnswer+1))
	_ = response.Body.Close()
	switch {
	case err != nil:
		return nil, err
	case len(body) > kest.MaxAnswer:
		return nil, errTooLong
	}
	if h, ok := request.Context().Value(heardKey{}).(*heard); ok {
		h.status, h.body = response.StatusCode, body
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// direct takes care that a client follows no redirect; one that nobody here
// knows is used as it is.
func direct(c aws.HTTPClient) aws.HTTPClient {
	client := &http.Client{}
	switch known := c.(type) {
	case nil:
		return direct(awshttp.NewBuildableClient())
	case *awshttp.BuildableClient:
		transport := known.GetTransport() // a copy
		transport.DisableCompression = true
		client.Transport = transport
	case *http.Client:
		*client = *known
	default:
		return c
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}
