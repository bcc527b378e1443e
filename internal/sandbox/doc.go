// Package sandbox is a stand-in for the vendor: a server with ElevenLabs' wire
// format in which a single-use token really works once. It is stricter than the
// vendor where the two could differ.
//
// Its limits, first: it understands no speech and speaks no language. What it
// "transcribes" says truthfully that it is the sandbox's, with what it measured
// of the audio; what it "speaks" is a synthetic babble in the rhythm of the
// text, as PCM or µ-law alone, never MP3, which is the vendor's default. Any
// non-empty API key is good to it, save one that looks real, which is refused
// and not recorded. It keeps everything in memory. It knows single-use tokens,
// the list of models, the user of a key, the realtime Scribe socket, the two text-to-speech
// sockets, the transcription of a file and the agents' two credentials, but not
// the conversation that these are for; whatever else is asked is answered with
// 501.
//
// Stricter means: a token is used up before the other parameters are judged, so
// that a wrong parameter costs it; a try for another type is refused and leaves
// it to its own type; parameters out of range are refused, not bent.
//
// What follows an @ in an API key is its workspace: keys a@one and b@two belong
// to different ones, all without to the same.
//
// It can be told to be slow, busy, broken or wrong, and keeps a record of calls:
// see the control endpoints in control.go and the kinds of faults in kinds.go.
package sandbox
