"""What a config may not be: (name, text, place, message).

`place` follows the file's name in the error line: ":LINE: " and, where there is one, the path of the
key. `message` is a part of what stands behind it. Text that is not str is written as it is. To add a
case, add a row; the runner is ../test_bad_input.py.
"""


def machine(more="", number=1):
    """A config of one good machine, in line 2, with more members in line 3."""
    return ('{"machines": [\n'
            f'{{"machine_id": {number}, "MACHINE_IP_ADDRESS": "192.0.2.{number}"' + (",\n" + more if more else "") +
            '}]}\n')


def experiment(members):
    return '{"run_local": true,\n"experiment": {\n' + members + "}}\n"


HERE = ":3: machines[0]."

BAD_CONFIGS = [
    # the text
    ("empty", "", ":1: ", "empty"),
    ("blank", " \n\t\n", ":1: ", "empty"),
    ("only_comments", "# nothing\n// here\n", ":1: ", "empty"),
    ("nul_byte", b'{"run_local": true,\n"machines": [\0]}', ":2: ", "NUL byte"),
    ("nul_escape", machine('"name": "a\\u0000b"'), ":3: ", "NUL"),
    ("latin1", b'{"run_local":\n"\xe4"}', ":2: ", "not UTF-8"),
    ("overlong_utf8", b'{"run_local":\n"\xc0\xaf"}', ":2: ", "not UTF-8"),
    ("utf16", '{"run_local": true}'.encode("utf-16"), ":1: ", "not UTF-8"),
    ("binary", bytes(range(1, 256)), ":2: ", "not UTF-8"),
    ("half_surrogate", machine('"name": "\\ud83d"'), ":3: ", "surrogate"),
    ("unknown_escape", machine('"name": "a\\x41"'), ":3: ", "escape"),
    ("raw_tab_in_string", machine('"name": "a\tb"'), ":3: ", "control character"),
    ("open_string", machine('"name": "a'), ":3: ", "no closing quote"),
    ("single_quotes", "{'run_local': true}", ":1: ", "double quotes"),
    ("no_value", '{"run_local":\n, "machines": []}', ":2: ", ", where a value is expected"),
    ("bare_key", "{run_local: true}", ":1: ", "a key in double quotes"),
    ("open_comment", '{"run_local": true,\n/* "machines": []}', ":2: ", "no end"),
    ("trailing_garbage", '{"run_local": true}\n}', ":2: ", "behind the end"),
    ("two_documents", '{"run_local": true}\n{"run_local": true}', ":2: ", "behind the end"),
    ("trailing_comma_object", '{"run_local": true,\n}', ":2: ", "a comma before the closing }"),
    ("trailing_comma_list", '{"run_local": true, "machines": [\n1,\n]}', ":3: ", "a comma before the closing ]"),
    ("missing_comma", '{"run_local": true\n"machines": []}', ":2: ", "a string where a , or the closing } is expected"),
    ("missing_colon", '{"run_local"\ntrue}', ":2: ", "a : behind the key"),
    ("wrong_bracket", '{"run_local": true, "machines": [\n}', ":2: ", "} where a value"),
    ("cut_off", '{"run_local": true,\n"machines": [', ":2: ", "the text ends"),
    ("python_true", '{"run_local":\nTrue}', ":2: ", "not a value"),
    ("nan", machine('"pue": NaN'), ":3: ", "not a value"),
    ("infinity", machine('"pue": -Infinity'), ":3: ", "not a number"),
    ("hexadecimal", machine('"MACHINE_PORT": 0x16'), ":3: ", "where a , or the closing }"),
    ("plus_sign", machine('"MACHINE_PORT": +22'), ":3: ", "not a number"),
    ("leading_zero", machine('"MACHINE_PORT": 022'), ":3: ", "needless 0"),
    ("too_large_a_number", machine('"pue": 1e999'), ":3: ", "too large"),
    ("too_many_digits", machine('"pue": 1.' + "0" * 60), ":3: ", "too many digits"),
    ("deep_lists", "{\"machines\":\n" + "[" * 5000, ":2: ", "nested too deep"),
    ("deep_objects", "{\"experiment\":\n" + '{"a":' * 5000, ":2: ", "nested too deep"),
    # the whole
    ("a_list", "[]", ":1: ", "a list where an object is needed"),
    ("a_word", "true", ":1: ", "true where an object is needed"),
    ("nothing_to_measure", "{}", ":1: machines: ", "no machine to measure"),
    ("no_machine_listed", '{"machines": [],\n"run_local": false}', ":1: machines: ", "no machine to measure"),
    ("only_the_local_machine_and_not_run", '{"machines": [{"machine_id": 0}]}', ":1: machines: ", "no machine to measure"),
    ("misspelt_key", '{"run_local": true,\n"machine": []}', ":2: machine: ", "did you mean machines?"),
    ("far_key", '{"run_local": true,\n"colour": 1}', ":2: colour: ", "unknown key"),
    ("key_twice", '{"run_local": true,\n"run_local": false}', ":2: run_local: ", "given twice, first in line 1"),
    ("machines_an_object", '{"run_local": true,\n"machines": {}}', ":2: machines: ", "an object where a list"),
    ("run_local_text", '{"run_local":\n"true"}', ":1: run_local: ", "text where true or false"),
    ("image_empty", '{"run_local": true,\n"docker_image": ""}', ":2: docker_image: ", "name an image or leave it out"),
    ("image_blank", '{"run_local": true,\n"docker_image": "a b"}', ":2: docker_image: ", "not an image's name"),
    ("image_shell", '{"run_local": true,\n"docker_image": "a;reboot"}', ":2: docker_image: ", "not an image's name"),
    ("image_option", '{"run_local": true,\n"docker_image": "--privileged"}', ":2: docker_image: ", "not an image's name"),
    ("image_long", '{"run_local": true,\n"docker_image": "' + 256 * "a" + '"}', ":2: docker_image: ", "longer than 255"),
    ("image_of_a_machine", machine('"docker_image": "$(reboot)"'), HERE + "docker_image: ", "not an image's name"),
    ("docker_options_text", '{"run_local": true,\n"docker_options": "--gpus all"}', ":2: docker_options: ", "a list"),
    ("docker_options_number", '{"run_local": true,\n"docker_options": [1]}', ":2: docker_options: ", "text in double"),
    ("docker_options_ours", '{"run_local": true,\n"docker_options": ["--name=x"]}', ":2: docker_options: ",
     "the launch sets that one itself"),
    ("docker_options_detached", '{"run_local": true,\n"docker_options": ["-d"]}', ":2: docker_options: ",
     "the launch sets that one itself"),
    ("docker_options_long", '{"run_local": true,\n"docker_options": ["' + 1024 * "a" + '"]}', ":2: docker_options: ",
     "longer than 1023"),
    ("run_docker_number", '{"run_local": true,\n"run_docker": 0}', ":2: run_docker: ", "a number where true or false"),
    # a machine
    ("machine_a_text", '{"machines": [\n"192.0.2.1"]}', ":2: machines[0]: ", "text where an object is needed"),
    ("no_id", '{"machines": [\n{"MACHINE_IP_ADDRESS": "192.0.2.1"}]}', ":2: machines[0]: ", "no machine_id"),
    ("id_text", '{"machines": [\n{"machine_id": "1"}]}', ":2: machines[0].machine_id: ", "text where a whole number"),
    ("id_negative", machine(number=-1), ":2: machines[0].machine_id: ", "-1 is not a whole number from 0 to 9999"),
    ("id_fraction", machine(number=1.5), ":2: machines[0].machine_id: ", "1.5 is not a whole number"),
    ("id_too_large", machine(number=10000), ":2: machines[0].machine_id: ", "10000 is not"),
    ("id_twice", '{"machines": [\n{"machine_id": 4, "MACHINE_IP_ADDRESS": "a"},\n'
                 '{"machine_id": 4, "MACHINE_IP_ADDRESS": "b"}]}', ":3: machines[1].machine_id: ",
     "4 is taken by machines[0] (line 2)"),
    ("id_zero_twice", '{"run_local": true, "machines": [\n{"machine_id": 0},\n{"machine_id": 0}]}',
     ":3: machines[1].machine_id: ", "0 is taken"),
    ("second_machine", '{"machines": [\n{"machine_id": 4, "MACHINE_IP_ADDRESS": "a"},\n'
                       '{"machine_id": 5, "MACHINE_IP_ADDRESS": "b",\n"MACHINE_PORT": 70000}]}',
     ":4: machines[1].MACHINE_PORT: ", "70000 is not a port (1-65535)"),
    ("unknown_machine_key", machine('"MACHINE_IP": "192.0.2.1"'), HERE + "MACHINE_IP: ", "did you mean MACHINE_IP_ADDRESS?"),
    ("key_in_lower_case", machine('"machine_port": 22'), HERE + "machine_port: ", "did you mean MACHINE_PORT?"),
    ("short_key", machine('"user": "a"'), HERE + "user: ", "did you mean MACHINE_USER?"),
    ("machine_key_twice", machine('"name": "a",\n"name": "a"'), ":4: machines[0].name: ", "given twice, first in line 3"),
    ("control_character_in_key", machine('"na\\u001bme": 1'), HERE + "na?me: ", "unknown key"),
    ("no_address", '{"machines": [\n{"machine_id": 1}]}', ":2: machines[0]: ", "no MACHINE_IP_ADDRESS"),
    ("null_address", '{"machines": [{"machine_id": 1,\n"MACHINE_IP_ADDRESS": null}]}', ":1: machines[0]: ",
     "no MACHINE_IP_ADDRESS"),
]


def address(text):
    return '{"machines": [\n{"machine_id": 1,\n"MACHINE_IP_ADDRESS": ' + text + "}]}"


BAD_CONFIGS += [
    (name, address(text), HERE + "MACHINE_IP_ADDRESS: ", message) for name, text, message in [
        ("address_empty", '""', "empty"),
        ("address_number", "192", "a number where text"),
        ("address_space", '"192.0.2.1 -oProxyCommand=x"', "not an IP address or host name"),
        ("address_dash", '"-oProxyCommand=touch x"', "begins with a dash"),
        ("address_shell", '"a;reboot"', "not an IP address or host name"),
        ("address_substitution", '"$(reboot)"', "not an IP address or host name"),
        ("address_newline", '"a\\nHost *"', "a?Host *: not an IP address"),
        ("address_user", '"bench@192.0.2.1"', "goes into MACHINE_USER"),
        ("address_port", '"192.0.2.1:2222"', "goes into MACHINE_PORT"),
        ("address_brackets", '"[2001:db8::1]"', "without brackets"),
        ("address_umlaut", '"m\u00fcller.example"', "not an IP address or host name"),
        ("address_long", '"' + "a" * 300 + '"', "longer than 253"),
    ]
] + [
    (name, machine('"MACHINE_PORT": ' + text), HERE + "MACHINE_PORT: ", message) for name, text, message in [
        ("port_zero", "0", "0 is not a port (1-65535)"),
        ("port_large", "70000", "70000 is not a port (1-65535)"),
        ("port_negative", "-22", "-22 is not a port"),
        ("port_fraction", "22.5", "22.5 is not a port"),
        ("port_huge", "1e300", "1e+300 is not a port"),
        ("port_word", '"ssh"', '"ssh" is not a port'),
        ("port_padded", '" 22"', '" 22" is not a port'),
        ("port_empty", '""', '"" is not a port'),
        ("port_list", "[22]", "a list is not a port"),
        ("port_true", "true", "true is not a port"),
    ]
] + [
    (name, machine(f'"{key}": {text}'), HERE + key + ": ", message) for name, key, text, message in [
        ("user_empty", "MACHINE_USER", '""', "empty"),
        ("user_newline", "MACHINE_USER", '"a\\nb"', "a?b: holds a control character"),
        ("user_escape", "MACHINE_USER", '"a\\u001b[31m"', "control character"),
        ("user_dash", "MACHINE_USER", '"-l"', "begins with a dash"),
        ("user_quoted", "MACHINE_USER", '"\\"lab user\\""', "holds a quote"),
        ("user_shell", "MACHINE_USER", '"a`id`"', "meaning to a shell"),
        ("user_number", "MACHINE_USER", "7", "a number where text"),
        ("password_number", "MACHINE_PASSWORD", "1234", "a number where text"),
        ("password_env_unset", "MACHINE_PASSWORD_ENV", '"ME_TEST_NOT_SET"', "ME_TEST_NOT_SET is not set"),
        ("password_env_empty", "MACHINE_PASSWORD_ENV", '"ME_TEST_EMPTY"', "ME_TEST_EMPTY is empty"),
        ("password_env_a_password", "MACHINE_PASSWORD_ENV", '"hunter 2"', "not a variable's name"),
        ("key_file_list", "MACHINE_KEY_FILENAME", "[]", "a list where text"),
        ("key_file_other_home", "MACHINE_KEY_FILENAME", '"~bob/.ssh/id"', "only ~/ is expanded"),
        ("key_file_newline", "MACHINE_KEY_FILENAME", '"a\\nb"', "control character"),
        ("name_empty", "name", '""', "empty"),
        ("name_control", "name", '"a\\u0007"', "control character"),
        ("name_c1", "name", '"a\\u009b"', "control character"),
        ("name_long", "name", '"' + "n" * 64 + '"', "longer than 63 bytes"),
        ("country_word", "country", '"Germany"', "not a country (ISO 3166"),
        ("country_digits", "country", '"D1"', "not a country"),
        ("country_number", "country", "49", "a number where text"),
        ("region_long", "region", '"' + "r" * 48 + '"', "longer than 47 bytes"),
        ("grid_negative", "grid_gco2_per_kwh", "-1", "-1 is not a number from 0 to 10000"),
        ("grid_huge", "grid_gco2_per_kwh", "1e9", "1000000000 is not a number from 0 to 10000"),
        ("grid_text", "grid_gco2_per_kwh", '"380"', "text where a number"),
        ("pue_below_one", "pue", "0.9", "0.9 is not a number from 1 to 10"),
        ("pue_percent", "pue", "120", "120 is not a number from 1 to 10"),
        ("host_key_word", "host_key", '"any"', "not a host key"),
        ("host_key_short", "host_key", '"SHA256:abc"', "43 base64 characters"),
        ("host_key_md5", "host_key", '"MD5:aa:bb:cc"', "not a host key"),
        ("host_key_with_host", "host_key", '"192.0.2.1 ssh-ed25519 ' + "A" * 68 + '"', "not a host key"),
        ("host_key_newline", "host_key", '"ssh-ed25519 ' + "A" * 50 + '\\nhost"', "not a host key"),
    ]
] + [
    ("two_passwords", machine('"MACHINE_PASSWORD": "a",\n"MACHINE_PASSWORD_ENV": "HOME"'),
     ":4: machines[0].MACHINE_PASSWORD_ENV: ", "MACHINE_PASSWORD is given too"),
]

# the experiment: what the command line refuses, the config refuses
BAD_CONFIGS += [
    (name, experiment(f'"{key}": {text}'), f":3: experiment.{key}: ", message) for name, key, text, message in [
        ("option_unknown", "repeat", "3", "did you mean repeats?"),
        ("option_with_dash", "sample-hz", "3", "did you mean sample_hz?"),
        ("repeats_zero", "repeats", "0", "0 is not a whole number from 1 to 1000000"),
        ("repeats_fraction", "repeats", "2.5", "2.5 is not a whole number"),
        ("repeats_text", "repeats", '"many"', "many is not a whole number"),
        ("repeats_true", "repeats", "true", "true where a number is needed"),
        ("warmup_negative", "warmup", "-1", "-1 is not a whole number from 0"),
        ("idle_negative", "idle", "-0.5", "-0.5 is not a number from 0"),
        ("cooldown_list", "cooldown", "[1]", "a list where a number is needed"),
        ("rate_low", "sample_hz", "0.5", "0.5 is not a number from 1 to 1000"),
        ("rate_high", "sample_hz", "1001", "1001 is not a number from 1 to 1000"),
        ("timeout_huge", "timeout", "1e300", "1e+300 is not a number from 0"),
        ("framework_number", "framework", "1", "a number where text"),
        ("framework_empty", "framework", '""', "empty"),
        ("framework_control", "framework", '"a\\u0001"', "control character"),
        ("sources_list", "sources", '["powercap"]', "a list where text"),
        ("command_text", "command", '"ls -l"', "text where a list"),
        ("command_empty", "command", "[]", "0 words"),
        ("command_number", "command", '["sleep", 3]', "word 2 is a number"),
        ("command_no_program", "command", '["", "x"]', "the program, is empty"),
        ("command_long", "command", "[" + ",".join(['"w"'] * 257) + "]", "257 words"),
    ]
] + [("experiment_list", '{"run_local": true,\n"experiment": []}', ":2: experiment: ", "a list where an object")]
