#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Keys, signatures and encrypted texts go both ways between ours and the `jose` program. Debian's jose has no RSA-OAEP-256;
# jwcrypto.sh covers that.
. "$(dirname "$0")/lib.sh"
require jose jq
probe=$TESTBIN/jose_probe
[ -x "$probe" ] || die "no $probe"
cd "$DIR" || exit 1
head -c 5000 /dev/urandom >data

declare -A algorithm=([P-256]=ES256 [P-384]=ES384 [P-521]=ES512 [RSA]=RS256)
declare -A template=([P-256]='{"kty":"EC","crv":"P-256"}' [P-384]='{"kty":"EC","crv":"P-384"}' [P-521]='{"kty":"EC","crv":"P-521"}' [RSA]='{"kty":"RSA","bits":2048}')

for kind in P-256 P-384 P-521 RSA; do
    "$probe" generate "$kind" >ours.jwk || die "generate $kind"
    jose jwk gen -i "${template[$kind]}" -o theirs.jwk || die "jose jwk gen $kind"
    for key in ours theirs; do
        "$probe" public "$key.jwk" >"$key.pub" || die "public $kind"
        equal "$kind thumbprint of a key made by $key" "$(jose jwk thp -i "$key.jwk")" "$("$probe" thumbprint "$key.jwk")"
        "$probe" sign "$key.jwk" <data >ours.jws || die "sign $kind"
        jose jws ver -i ours.jws -k "$key.pub" -O back || die "jose refuses our $kind signature"
        check "jose verifies our ${algorithm[$kind]} ($key key)" cmp data back
        jose jws sig -s "{\"protected\":{\"alg\":\"${algorithm[$kind]}\"}}" -I data -k "$key.jwk" -c -o theirs.jws || die "jose jws sig"
        "$probe" verify "$key.pub" <theirs.jws >back || die "we refuse jose's $kind signature"
        check "we verify jose's ${algorithm[$kind]} ($key key)" cmp data back
        sed 's/^\(.\{60\}\)./\1_/' theirs.jws >altered.jws
        cmp -s theirs.jws altered.jws || refused "we refuse jose's altered ${algorithm[$kind]} ($key key)" "jose_probe: " "$probe" verify "$key.pub" <altered.jws
    done
done
jose jwk gen -i '{"kty":"RSA","bits":4096}' -o big.jwk
equal "thumbprint of an RSA-4096 key" "$(jose jwk thp -i big.jwk)" "$("$probe" thumbprint big.jwk)"
jose jwk gen -i '{"kty":"EC","crv":"P-521"}' -o p521.jwk
jose jwk gen -i '{"kty":"EC","crv":"P-384"}' -o p384.jwk
jose jws sig -s '{"protected":{"alg":"ES512"}}' -I data -k p521.jwk -c -o es512.jws
refused "an ES512 signature under a key on P-384" "does not go with a key of this type" "$probe" verify p384.jwk <es512.jws

for curve in P-256 P-521; do
    "$probe" generate "$curve" >ours.jwk
    jose jwk gen -i "${template[$curve]}" -o theirs.jwk
    for key in ours theirs; do
        "$probe" public "$key.jwk" >"$key.pub"
        "$probe" encrypt "$key.pub" <data >ours.jwe || die "encrypt"
        jose jwe dec -i ours.jwe -k "$key.jwk" -O back || die "jose refuses our JWE"
        check "jose decrypts our ECDH-ES+A256KW ($curve, $key key)" cmp data back
        # jose puts epk into the unprotected header unless the form is compact; ours is the flattened form with all of it protected.
        jose jwe enc -i '{"protected":{"alg":"ECDH-ES+A256KW","enc":"A256GCM"}}' -I data -k "$key.pub" -c -o theirs.jwec || die "jose jwe enc"
        jq -R 'split(".") | {protected:.[0], encrypted_key:.[1], iv:.[2], ciphertext:.[3], tag:.[4]}' theirs.jwec >theirs.jwe
        "$probe" decrypt "$key.jwk" <theirs.jwe >back || die "we refuse jose's JWE"
        check "we decrypt jose's ECDH-ES+A256KW ($curve, $key key)" cmp data back
        jq -c '.tag |= ("AAAA" + .[4:])' theirs.jwe >altered.jwe
        refused "we refuse jose's altered JWE ($key key)" "tag does not fit" "$probe" decrypt "$key.jwk" <altered.jwe
    done
done
jose jwe enc -i '{"protected":{"alg":"ECDH-ES+A256KW","enc":"A256GCM"}}' -I data -k ours.pub -o loose.jwe
refused "an epk outside of the protected header" 'member "header" is not taken' "$probe" decrypt ours.jwk <loose.jwe
jose jwe enc -i '{"protected":{"alg":"ECDH-ES+A128KW","enc":"A256GCM"}}' -I data -k ours.pub -c -o weak.jwec
jq -R 'split(".") | {protected:.[0], encrypted_key:.[1], iv:.[2], ciphertext:.[3], tag:.[4]}' weak.jwec >weak.jwe
refused "ECDH-ES+A128KW" 'this key takes ECDH-ES+A256KW' "$probe" decrypt ours.jwk <weak.jwe
