#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Passport mode of the KBS client: a token and its key that another guest's program got, read from a file, again when it changes or ends,
# and never a handshake of our own. The other program is tests/peer/client.py.
. "$(dirname "$0")/lib.sh"
. "$HERE/probe_lib.sh"
require jq

# attested: a token and its key of that broker, as an attestation agent hands them out
passport() { # FILE
    local client=("$PYTHON" "$PEER/client.py" --url "$URL" --ca "$CA")
    "${client[@]}" auth "$DIR/state" --tee sample >/dev/null
    "${client[@]}" evidence "$DIR/state" >/dev/null
    "${client[@]}" attest "$DIR/state" >/dev/null
    jq '{token, tee_keypair: .key}' "$DIR/state" >"$1.new"
    chmod 0600 "$1.new"
    mv "$1.new" "$1"
}
# shellcheck disable=SC2034  # read by probe_lib.sh; nobody is there: nothing of ours attests
SOCKET=$DIR/no-attestd.sock
start_kbs kbs good
FILE=$DIR/passport.json

start_probe --url "$URL" --ca "$CA" --token-file "$FILE"
ask many 5000 3 kbs:///default/key/a
told "no file" '{"attest":3}' "token_file $FILE" 'No such file'
passport "$FILE"
attested=$(stat_of attest)
ask forget
ask many 10000 50 kbs:///default/key/a
told "with a token that somebody else got" '{"ok":50}' '"wrong":0'
equal "no handshake of ours" "$attested" "$(stat_of attest)"
ask attest 1000
told "it is the token that is told" '{"ok":1}'
ask state
told "there is no evidence of ours" '"accepted":false' '"latest":false' '"handshakes":1'

# The broker no longer takes it: told, not asked again and again; a new file helps at once.
kbs_call --data '' "$URL/forget"
before=$(stat_of resource)
ask many 5000 1 kbs:///default/key/b
told "a token that the broker does not know" '{"denied-policy":1}' 'does not accept the token'
equal "it was tried twice" "$((before + 2))" "$(stat_of resource)"
passport "$FILE"
ask forget
ask many 5000 5 kbs:///default/key/b
told "another file" '{"ok":5}' '"wrong":0'
passport "$FILE"
rm "$DIR/state"
ask many 5000 5 kbs:///default/key/c
told "a file that changed under a good token" '{"ok":5}' '"wrong":0'
ask state
told "was read" '"handshakes":4'

chmod 0644 "$FILE"
ask forget
ask many 5000 1 kbs:///default/key/d
told "a key that everybody may read" '{"attest":1}' 'chmod 640'
printf '{"token":"a.b.c"}' >"$FILE"
chmod 0600 "$FILE"
ask forget
ask many 5000 1 kbs:///default/key/d
told "a token without its key" '{"attest":1}' 'tee_keypair'

# Clocks: to one that is a year ahead every token has expired, to one that is a year behind none has begun.
passport "$FILE"
from_now() { # SECONDS: the file's token begins then and lasts five minutes
    local claims
    claims=$(printf '{"iat":%d,"exp":%d}' "$(($(date +%s) + $1))" "$(($(date +%s) + $1 + 300))" | basenc --base64url -w0 | tr -d =)
    jq --arg token "e30.$claims.x" '.token = $token' "$FILE" >"$FILE.new"
    chmod 0600 "$FILE.new"
    mv "$FILE.new" "$FILE"
}
from_now -31536000
ask forget
ask many 5000 1 kbs:///default/key/e
told "expired by this clock" '{"attest":1}' 'the token has expired: it ended' "this machine's clock says"
from_now 31536000
ask forget
ask many 5000 1 kbs:///default/key/e
told "not yet valid by this clock" '{"attest":1}' 'the token is not yet valid: it begins' 'clock behind'

# Short tokens: the next is read when the last one ends.
start_kbs brief good --token-life 3
passport "$FILE"
start_probe --url "$URL" --ca "$CA" --token-file "$FILE"
ask many 5000 1 kbs:///default/key/f
told "under a short token" '{"ok":1}'
ask turn 3100
ask many 5000 1 kbs:///default/key/g
told "at its end, with nothing new in the file" '{"attest":1}' 'the token has expired'
passport "$FILE"
ask forget
ask many 5000 1 kbs:///default/key/g
told "with a new one" '{"ok":1}'
stop_probe
