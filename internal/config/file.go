package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"farebox/session"
)

// maxFile bounds the files that settings name; a bundle of certificates is the
// largest of them.
const maxFile = 1 << 20

// readFile reads a file that a setting names, and nothing that only looks like
// one: opening a pipe would wait for ever.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("names a file that cannot be read (%s)", plainFileError(err))
	case !info.Mode().IsRegular():
		return nil, errors.New("names something that is no file")
	case info.Size() > maxFile:
		return nil, fmt.Errorf("names a file of more than %d bytes", maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("names a file that cannot be read (%s)", plainFileError(err))
	}
	return data, nil
}

// plainFileError is the reason without the path, which is the setting's value.
func plainFileError(err error) string {
	switch {
	case os.IsNotExist(err):
		return "it does not exist"
	case os.IsPermission(err):
		return "permission denied"
	default:
		return "reading it failed"
	}
}

func readSecretFile(path string) (string, error) {
	data, err := readFile(path)
	if err != nil {
		return "", err
	}
	return secretText(data)
}

func secretText(data []byte) (string, error) {
	text := strings.TrimSpace(string(data))
	switch {
	case text == "":
		return "", errors.New("names a file that is empty")
	case !utf8.ValidString(text):
		return "", errors.New("names a file that is no text")
	}
	return text, nil
}

func parseFile(path string) (string, error) {
	_, err := readFile(path)
	return path, err
}

// parseAppendable asks for a file that can be appended to, or made.
func parseAppendable(path string) (string, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return "", errors.New("names something that is no file")
	}
	const ownerAlone = 0o600
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, ownerAlone)
	switch {
	case os.IsNotExist(err):
		return "", errors.New("names a file in a folder that does not exist")
	case err != nil:
		return "", errors.New("names a file that cannot be written")
	}
	return path, file.Close()
}

// parsePublicKeys reads the file as the verifier will.
func parsePublicKeys(path string) (string, error) {
	if _, err := readFile(path); err != nil {
		return "", err
	}
	if err := session.CheckPEM(path); err != nil {
		return "", err
	}
	return path, nil
}

// parseAuthorities reads a file of certificates that sign others.
func parseAuthorities(path string) (string, error) {
	pem, err := readFile(path)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		err = errors.New("names a file that holds no certificate")
	}
	return path, err
}
