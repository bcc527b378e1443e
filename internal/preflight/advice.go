package preflight

import "farebox/session"

// unverified is why a JWT could not be verified, by session.Reason, and which
// setting decides it. keysSetting is where the keys come from.
func unverified(reason, keysSetting string) Refused {
	r, known := advice()[reason]
	if !known {
		return Refused{Reason: "the check was broken off", Mend: "run it again"}
	}
	r.Reason = reason
	if r.Setting == theKeys {
		r.Setting = keysSetting
	}
	return r
}

// theKeys stands for the setting that says where the session keys come from.
const theKeys = "keys"

// advice is what to do about each of session's reasons. Where no setting lets
// such a JWT pass, it has none.
func advice() map[string]Refused {
	const (
		whole     = "copy the JWT whole, without Bearer, quotes or line breaks"
		anotherIs = "no setting lets it pass; send the access token, or what your provider calls the session token"
		mintAnew  = "have the issuer write the claim as RFC 7519 says; no setting lets it pass"
	)
	return map[string]Refused{
		"too large":                        {Mend: "no setting lets more than 8 KiB pass; have the issuer put less into it"},
		"characters that no JWT has":       {Mend: whole},
		"not three parts":                  {Mend: whole},
		"header unreadable":                {Mend: whole},
		"claims unreadable":                {Mend: whole},
		"signature unreadable":             {Mend: whole},
		"encrypted":                        {Mend: "have the issuer sign it without encrypting it"},
		"nested":                           {Mend: anotherIs},
		"another kind of token, by typ":    {Mend: anotherIs},
		"a logout or security event token": {Mend: anotherIs},
		"a header that is not understood":  {Mend: "have the issuer leave out crit, b64, zip and enc; no setting lets them pass"},
		"kid is no short text":             {Mend: "have the issuer name its key by a text of at most 256 bytes"},
		"algorithm not allowed":            {Setting: theKeys, Mend: "its kind of source decides the algorithms: HS256 goes with FAREBOX_SESSION_HS256_SECRET alone, all others with public keys"},
		"signed by an unknown key":         {Setting: theKeys, Mend: "its keys do not have the JWT's kid; name the keys of the issuer that signed it"},
		"signature":                        {Setting: theKeys, Mend: "none of its keys has signed the JWT; name the keys of the issuer that signed it"},

		"another issuer":                            {Setting: "FAREBOX_SESSION_ISSUER", Mend: "set it to the JWT's iss, to the letter"},
		"another audience":                          {Setting: "FAREBOX_SESSION_AUDIENCE", Mend: "add the JWT's aud to it, if that is meant for this service"},
		"a required claim is missing or different":  {Setting: "FAREBOX_SESSION_REQUIRED_CLAIMS", Mend: "compare each claim that it names, those of FAREBOX_SESSION_PROVIDER too, with the JWT's"},
		"no usable subject":                         {Setting: "FAREBOX_SESSION_SUB_CLAIM", Mend: "name the claim that holds who it is, a text of at most 255 bytes without control characters"},
		"the session id is no text":                 {Setting: "FAREBOX_SESSION_SID_CLAIM", Mend: "name a claim that is a text where it is there"},
		"exp is past":                               {Setting: "FAREBOX_SESSION_LEEWAY", Mend: "renew the session; the leeway is for clocks that differ, see that this one is right"},
		"iat is no date, or in the future":          {Setting: "FAREBOX_SESSION_LEEWAY", Mend: "see that this clock and the issuer's are right; the leeway bridges 60 s at most"},
		"nbf is no date, or in the future":          {Setting: "FAREBOX_SESSION_LEEWAY", Mend: "wait until it begins, or see that this clock and the issuer's are right; the leeway bridges 60 s at most"},
		"aud is neither text nor a list of it":      {Mend: mintAnew},
		"iss is no text":                            {Mend: mintAnew},
		"jti is no text":                            {Mend: mintAnew},
		"exp is missing or no date":                 {Mend: mintAnew},
		"more left than " + maxLifetime + " allows": {Setting: maxLifetime, Mend: "raise it, or have the issuer make shorter sessions"},

		session.ErrKeysUnavailable.Error(): {Setting: theKeys, Mend: "nothing can be said of the session without keys; run farebox check to see what is wrong with them"},
		session.ErrOverloaded.Error():      {Mend: "run it again on a machine with less to do"},
	}
}

const maxLifetime = "FAREBOX_SESSION_MAX_LIFETIME"
