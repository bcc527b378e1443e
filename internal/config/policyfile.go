package config

import (
	"errors"
	"path/filepath"
	"strings"

	"farebox/internal/policy"
	vendorclient "farebox/vendor_client"
)

// mends are several faults of one setting. It is an error.
type mends []string

func (m mends) Error() string { return strings.Join(m, "; ") }

// readPolicyFile reads the file as the policy will. Its faults are told with the
// file's name, but without the way to it.
func readPolicyFile(c *Config, path string) error {
	data, err := readFile(path)
	if err != nil {
		return err
	}
	c.PolicyFile = path
	_, err = policy.Read(data, vendorclient.TokenTypeNames())
	var faults policy.Faults
	if !errors.As(err, &faults) {
		return err
	}
	var all mends
	for _, fault := range faults {
		if fault.Line == 0 {
			all = append(all, fault.Mend)
			continue
		}
		all = append(all, filepath.Base(path)+":"+fault.String())
	}
	return all
}
