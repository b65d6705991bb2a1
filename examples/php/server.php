<?php
// A log-in, a basket and a log-out behind Springhouse, in PHP without a package. No session of PHP's own, no file, no lock: any server
// can handle any request. Proxy and backend share a secret (HS256).

declare(strict_types=1);

// The name of this origin in Springhouse's configuration: `default` if it was started with --origin.
define('AUDIENCE', getenv('SESSION_AUDIENCE') ?: 'default');
// Clocks may differ by so many seconds.
const SKEW = 60;
// A real program stores password_hash() and calls password_verify().
const PASSWORDS = ['zoe' => 'open sesame', 'ann' => 'swordfish'];

final class Forged extends RuntimeException
{
}

function decoded(string $part): string
{
    return (string) base64_decode(strtr($part, '-_', '+/'), true);
}

/** Returns the claims of the request's session, or [] without one. Throws Forged if the field is not from the proxy. */
function session(): array
{
    $field = $_SERVER['HTTP_SPRINGHOUSE_SESSION'] ?? null;
    if ($field === null) {
        return [];
    }
    $secret = getenv('SESSION_SECRET') ?: throw new LogicException('SESSION_SECRET is not set');
    [$header, $payload, $signature, $more] = array_pad(explode('.', $field), 4, '');
    if ($more !== '' || !hash_equals(hash_hmac('sha256', "$header.$payload", $secret, true), decoded($signature))) {
        throw new Forged('not signed by the proxy');
    }
    $kind = json_decode(decoded($header), true);
    $claims = json_decode(decoded($payload), true);
    // The algorithm is this program's choice, never the sender's.
    if ($kind['alg'] !== 'HS256' || $kind['typ'] !== 'springhouse-session+jwt') {
        throw new Forged('another kind of token');
    }
    if ($claims['iss'] !== 'springhouse' || $claims['aud'] !== AUDIENCE) {
        throw new Forged('for another backend');
    }
    if ($claims['exp'] < time() - SKEW || $claims['iat'] > time() + SKEW) {
        throw new Forged('too old, or too new');
    }
    return $claims;
}

/** Sends an instruction to the proxy. */
function change(array $instruction): void
{
    header('Springhouse-Session-Set: :' . base64_encode(json_encode($instruction, JSON_THROW_ON_ERROR)) . ':');
}

function send(int $status, ?array $value = null): void
{
    http_response_code($status);
    if ($value !== null) {
        header('Content-Type: application/json');
        echo json_encode($value, JSON_THROW_ON_ERROR), "\n";
    }
}

header('Cache-Control: no-store');
try {
    $session = session();
} catch (Forged) {
    send(401, ['error' => 'this session is not from the proxy']);
    return;
}

switch ($_SERVER['REQUEST_METHOD'] . ' ' . parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH)) {
    case 'GET /basket':
        // An empty PHP array would be [] in JSON.
        send(200, ['user' => $session['sub'] ?? null, 'basket' => (object) ($session['data']['basket'] ?? [])]);
        break;

    case 'POST /basket':
        $item = $_POST['item'] ?? '';
        $count = filter_var($_POST['count'] ?? '', FILTER_VALIDATE_INT, ['options' => ['min_range' => 0, 'max_range' => 99]]);
        if (!is_string($item) || !preg_match('/^[\w -]{1,40}$/D', $item) || $count === false) {
            send(400, ['error' => 'an item, and a count to 99']);
            break;
        }
        // A merge patch: it changes one member of the basket, whatever other requests change at the same time. null removes a member.
        // (object): the item "0" would make a list of the array.
        change(['data' => ['basket' => (object) [$item => $count ?: null]]]);
        send(204);
        break;

    case 'POST /login':
        $user = $_POST['user'] ?? '';
        $password = $_POST['password'] ?? '';
        if (!is_string($user) || !is_string($password) || !isset(PASSWORDS[$user]) || !hash_equals(PASSWORDS[$user], $password)) {
            send(403, ['error' => 'wrong user or password']);
            break;
        }
        change(['login' => $user]);
        send(204);
        break;

    case 'POST /logout':
        change(['logout' => true]);
        send(204);
        break;

    default:
        send(404, ['error' => 'not found']);
}
