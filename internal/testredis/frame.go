package testredis

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// readFrame reads one whole value of the Redis protocol, a command or a reply
// (RESP2 or RESP3), however many reads it comes in, and adds its bytes to frame.
func readFrame(r *bufio.Reader, frame []byte) ([]byte, error) {
	line, err := r.ReadBytes('\n')
	frame = append(frame, line...)
	if err != nil {
		return frame, err
	}
	size, _ := strconv.Atoi(string(bytes.TrimSpace(line[1:]))) // -1 is nil
	values := 0
	switch line[0] {
	case '$', '=', '!': // texts of that many bytes
		if size < 0 {
			return frame, nil
		}
		begin := len(frame)
		frame = append(frame, make([]byte, size+2)...)
		_, err = io.ReadFull(r, frame[begin:])
		return frame, err
	case '*', '~', '>': // lists
		values = size
	case '%': // pairs
		values = 2 * size
	case '|': // pairs that go before the value proper
		values = 2*size + 1
	}
	for range values {
		if frame, err = readFrame(r, frame); err != nil {
			return frame, err
		}
	}
	return frame, nil
}

// readCommand reads a client's next command, with its name in capitals.
func readCommand(r *bufio.Reader) (name string, frame []byte, err error) {
	if frame, err = readFrame(r, nil); err != nil {
		return "", frame, err
	}
	// *2\r\n$3\r\nGET\r\n…
	lines := bytes.SplitN(frame, []byte("\r\n"), 4)
	if len(lines) < 4 || lines[0][0] != '*' {
		return "", frame, fmt.Errorf("no command: %q", frame)
	}
	return string(bytes.ToUpper(lines[2])), frame, nil
}
