package aws

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"kest.example/kest"
)

// MaxMessage is how many bytes KMS takes as they are. Of more it gets the
// digest, which an Ed25519 key can't sign (see Error).
const MaxMessage = 4096

const signCall = "kms:Sign"

// signer has KMS sign under one key.
type signer struct {
	clients *clients
	key     *publicKey
	arn     string
	refused func() // KMS won't sign under this key again
}

var _ kest.Signer = (*signer)(nil)

// Sign implements kest.Signer.
func (s *signer) Sign(ctx context.Context, input []byte) ([]byte, error) {
	request, err := s.request(input)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.clients.timeout)
	defer cancel()
	out, err := s.clients.kms.Sign(ctx, request)
	if err != nil {
		err = failed(signCall, s.arn, err)
		if errors.Is(err, kest.ErrConfiguration) {
			s.refused()
		}
		return nil, err
	}
	signature, err := s.key.raw(input, out.Signature)
	if err != nil {
		return nil, broken(signCall, s.arn, err.Error())
	}
	return signature, nil
}

// request gives KMS the whole input where it can, so that KMS hashes it
// itself. For Ed25519 there is no other way: given a digest, KMS makes an Ed25519ph
// signature, which no JWS has (RFC 8037 section 3.1).
func (s *signer) request(input []byte) (*kms.SignInput, error) {
	request := &kms.SignInput{
		KeyId: &s.arn, Message: input, MessageType: types.MessageTypeRaw, SigningAlgorithm: s.key.algorithm,
	}
	if len(input) <= MaxMessage {
		return request, nil
	}
	if s.key.algorithm == types.SigningAlgorithmSpecEd25519Sha512 {
		return nil, &Error{
			Call: signCall, KeyID: s.arn, permanent: true,
			Detail: "an Ed25519 key in KMS signs no more than 4096 bytes: use session keys, or a key of spec ECC_NIST_P256",
		}
	}
	digest := sha256.Sum256(input)
	request.Message, request.MessageType = digest[:], types.MessageTypeDigest
	return request, nil
}

// String names the key and nothing else.
func (s *signer) String() string { return "aws.Signer(" + s.arn + ")" }

// GoString is String.
func (s *signer) GoString() string { return s.String() }
