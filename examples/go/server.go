// A log-in, a basket and a log-out behind Springhouse, with Go's standard library. The process keeps no state: start as many as you like.
package main

import (
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

var (
	keysURL = env("SESSION_KEYS_URL", "http://127.0.0.1:8080/.well-known/springhouse/jwks.json")
	// The name of this origin in Springhouse's configuration: `default` if it was started with --origin.
	audience = env("SESSION_AUDIENCE", "default")
	// A real program compares the hash of a password: golang.org/x/crypto/argon2.
	passwords = map[string]string{"zoe": "open sesame", "ann": "swordfish"}
	item      = regexp.MustCompile(`^[\w -]{1,40}$`)
	errForged = errors.New("the field is not from the proxy")
)

// Clocks may differ by so much.
const skew = 60 * time.Second

// session is what the signed field says of a request. Without a field, every member is empty.
type session struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
	User     string `json:"sub"`
	Data     struct {
		Basket map[string]int `json:"basket"`
	} `json:"data"`
}

// sessionOf returns the session of a request, or errForged.
func sessionOf(r *http.Request) (session, error) {
	var claims session
	field := r.Header.Get("Springhouse-Session")
	if field == "" {
		return claims, nil
	}
	parts := strings.Split(field, ".")
	if len(parts) != 3 {
		return claims, errForged
	}
	var header struct{ Alg, Kid, Typ string }
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	// The algorithm is this program's choice, never the sender's.
	if err != nil || decode(parts[0], &header) != nil || header.Alg != "EdDSA" || header.Typ != "springhouse-session+jwt" {
		return claims, errForged
	}
	key := published.key(header.Kid)
	if key == nil || !ed25519.Verify(key, []byte(parts[0]+"."+parts[1]), signature) {
		return claims, errForged
	}
	if decode(parts[1], &claims) != nil || claims.Issuer != "springhouse" || claims.Audience != audience {
		return session{}, errForged
	}
	now := time.Now()
	if now.Add(-skew).After(time.Unix(claims.Expires, 0)) || now.Add(skew).Before(time.Unix(claims.IssuedAt, 0)) {
		return session{}, errForged
	}
	return claims, nil
}

func decode(part string, into any) error {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

// keySet holds the public keys of the proxy.
type keySet struct {
	mutex     sync.Mutex
	keys      map[string]ed25519.PublicKey
	fetchedAt time.Time
}

var published keySet

// key returns a key, or nil. Made-up ids cause one fetch in ten seconds; a failed fetch leaves the known keys.
func (set *keySet) key(id string) ed25519.PublicKey {
	set.mutex.Lock()
	defer set.mutex.Unlock()
	age := time.Since(set.fetchedAt)
	if age > 5*time.Minute || (age > 10*time.Second && set.keys[id] == nil) {
		set.fetchedAt = time.Now()
		if keys, err := fetchKeys(); err == nil {
			set.keys = keys
		} else {
			log.Print(err)
		}
	}
	return set.keys[id]
}

func fetchKeys() (map[string]ed25519.PublicKey, error) {
	client := http.Client{Timeout: 2 * time.Second}
	response, err := client.Get(keysURL)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var body struct {
		Keys []struct{ Kid, Crv, X string }
	}
	if err := json.NewDecoder(response.Body).Decode(&body); err != nil {
		return nil, err
	}
	keys := map[string]ed25519.PublicKey{}
	for _, key := range body.Keys {
		x, err := base64.RawURLEncoding.DecodeString(key.X)
		if err == nil && key.Crv == "Ed25519" && len(x) == ed25519.PublicKeySize {
			keys[key.Kid] = x
		}
	}
	return keys, nil
}

type object map[string]any

// change sends an instruction to the proxy; in base64, because the names of items need not be ASCII.
func change(w http.ResponseWriter, instruction object) {
	text, err := json.Marshal(instruction)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Springhouse-Session-Set", ":"+base64.StdEncoding.EncodeToString(text)+":")
	w.WriteHeader(http.StatusNoContent)
}

func send(w http.ResponseWriter, status int, value object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

func shop(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, 10_000)
	who, err := sessionOf(r)
	if err != nil {
		send(w, http.StatusUnauthorized, object{"error": "this session is not from the proxy"})
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /basket":
		basket := who.Data.Basket
		if basket == nil {
			basket = map[string]int{}
		}
		var user any
		if who.User != "" {
			user = who.User
		}
		send(w, http.StatusOK, object{"user": user, "basket": basket})
	case "POST /basket":
		name := r.PostFormValue("item")
		count, err := strconv.Atoi(r.PostFormValue("count"))
		if err != nil || count < 0 || count > 99 || !item.MatchString(name) {
			send(w, http.StatusBadRequest, object{"error": "an item, and a count to 99"})
			return
		}
		// A merge patch: it changes one member of the basket, whatever other requests change at the same time. null removes a member.
		var value any
		if count > 0 {
			value = count
		}
		change(w, object{"data": object{"basket": object{name: value}}})
	case "POST /login":
		user := r.PostFormValue("user")
		password, known := passwords[user]
		if !known || subtle.ConstantTimeCompare([]byte(password), []byte(r.PostFormValue("password"))) == 0 {
			send(w, http.StatusForbidden, object{"error": "wrong user or password"})
			return
		}
		change(w, object{"login": user})
	case "POST /logout":
		change(w, object{"logout": true})
	default:
		send(w, http.StatusNotFound, object{"error": "not found"})
	}
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func main() {
	server := http.Server{
		Addr:              "127.0.0.1:" + env("PORT", "3000"),
		Handler:           http.HandlerFunc(shop),
		ReadHeaderTimeout: 10 * time.Second,
		// Longer than the proxy keeps idle connections, so that it never sends a request on one that is being closed.
		IdleTimeout: 75 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}
