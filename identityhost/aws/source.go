package aws

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"kest.example/kest"
)

// maxKeyID is KMS's own limit on a KeyId.
const maxKeyID = 2048

// source fetches one identity from AWS and keeps it.
type source struct {
	keyID    string
	name     func(caller) (string, error) // nil: a key without a workload
	settings *settings
	kept     kept[kest.Identity]
}

func newSource(keyID string, name func(caller) (string, error), s *settings) (*source, error) {
	if keyID == "" || len(keyID) > maxKeyID || !isPrintable(keyID) {
		return nil, configurationError("the key is not named by a KMS key's id, ARN or alias/NAME")
	}
	source := &source{keyID: keyID, name: name, settings: s}
	source.kept.fetch = source.fetch
	return source, nil
}

func (s *source) identity(ctx context.Context) (*kest.Identity, error) {
	return s.kept.get(ctx)
}

// fetch reads the SDK's configuration anew, so that credentials in files which
// were replaced since are found.
func (s *source) fetch(ctx context.Context) (*kest.Identity, error) {
	c, err := s.settings.connect(ctx, s.keyID)
	if err != nil {
		return nil, err
	}
	id := &kest.Identity{}
	if s.name != nil {
		who, err := c.whoAmI(ctx)
		if err != nil {
			return nil, err
		}
		if id.WorkloadID, err = s.name(who); err != nil {
			return nil, err
		}
	}
	key, arn, err := c.publicKey(ctx, s.keyID)
	if err != nil {
		return nil, err
	}
	id.Key, id.BindingKeyID = key.public, arn
	id.Signer = &signer{clients: c, key: key, arn: arn, refused: func() { s.kept.forget(id) }}
	return id, nil
}

// publicKey asks KMS for the public key and the ARN of a key.
func (c *clients) publicKey(ctx context.Context, keyID string) (*publicKey, string, error) {
	const call = "kms:GetPublicKey"
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	out, err := c.kms.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &keyID})
	if err != nil {
		return nil, "", failed(call, keyID, err)
	}
	switch out.KeyUsage {
	case types.KeyUsageTypeSignVerify:
	case "":
		return nil, "", broken(call, keyID, "it doesn't say the key's usage")
	default:
		return nil, "", unfit(call, keyID, "its usage is "+named(out.KeyUsage, out.KeyUsage.Values()))
	}
	key, err := parsePublicKey(out.PublicKey, out.KeySpec)
	switch {
	case errors.Is(err, errUnsupported):
		return nil, "", unfit(call, keyID, "its spec is "+named(out.KeySpec, out.KeySpec.Values()))
	case err != nil:
		return nil, "", broken(call, keyID, err.Error())
	}
	arn, err := c.keyARN(ctx, keyID, value(out.KeyId))
	return key, arn, err
}

// keyARN finds the ARN of a key. KMS says it beside the public key; what
// stands in for it may say an id alone.
func (c *clients) keyARN(ctx context.Context, keyID, answered string) (string, error) {
	if isKeyARN(answered) {
		return answered, nil
	}
	const call = "kms:DescribeKey"
	out, err := c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &keyID})
	if err != nil {
		return "", failed(call, keyID, err)
	}
	if out.KeyMetadata == nil || !isKeyARN(value(out.KeyMetadata.Arn)) {
		return "", broken(call, keyID, "it doesn't say the key's ARN")
	}
	return *out.KeyMetadata.Arn, nil
}

// named lets a name of KMS into an error when it is one that is known.
func named[T ~string](v T, known []T) string {
	if !slices.Contains(known, v) {
		return "another"
	}
	return string(v)
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
