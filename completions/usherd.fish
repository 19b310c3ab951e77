# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_usherd_global_optspecs
    string join \n h/help V/version
end

function __fish_usherd_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_usherd_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_usherd_using_subcommand
    set -l cmd (__fish_usherd_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c usherd -n "__fish_usherd_needs_command" -s h -l help -d 'Print help'
complete -c usherd -n "__fish_usherd_needs_command" -s V -l version -d 'Print version'
complete -c usherd -n "__fish_usherd_needs_command" -f -a "run" -d 'Run the daemon in the foreground'
complete -c usherd -n "__fish_usherd_needs_command" -f -a "serve" -d 'Serve one program, without a configuration file'
complete -c usherd -n "__fish_usherd_needs_command" -f -a "demo" -d 'Show it: a few services on this machine\'s loopback, as any user'
complete -c usherd -n "__fish_usherd_needs_command" -f -a "check" -d 'Say what is wrong with a configuration, and where'
complete -c usherd -n "__fish_usherd_needs_command" -f -a "convert" -d 'Write the services of inetd.conf as xinetd.conf, or the other way round'
complete -c usherd -n "__fish_usherd_needs_command" -f -a "status" -d 'Show what a running daemon is doing, and why'
complete -c usherd -n "__fish_usherd_needs_command" -f -a "inetd" -d 'As the inetd of Debian\'s openbsd-inetd, or of another system, with its flags'
complete -c usherd -n "__fish_usherd_needs_command" -f -a "xinetd" -d 'As xinetd, with its options and its configuration'
complete -c usherd -n "__fish_usherd_needs_command" -f -a "access" -d 'Try TCP wrappers: hosts.allow and hosts.deny'
complete -c usherd -n "__fish_usherd_needs_command" -f -a "ident" -d 'Tell a caller whose connection it is (RFC 1413): inetd\'s "auth" service'
complete -c usherd -n "__fish_usherd_needs_command" -f -a "with-names" -d 'Run a program with the host names of both ends of its connection'
complete -c usherd -n "__fish_usherd_using_subcommand run" -s c -l config -d 'A configuration file, or a folder of them; can be given again [default: /etc/inetd.conf]' -r
complete -c usherd -n "__fish_usherd_using_subcommand run" -l control -d 'The control socket for status, or "none" [default: one for each user, see usherd status]' -r
complete -c usherd -n "__fish_usherd_using_subcommand run" -l backlog -d 'Connections that wait in the kernel for one listener [default: the dialect\'s, 128]' -r
complete -c usherd -n "__fish_usherd_using_subcommand run" -l max-children -d 'The most programs in all at the same time; further callers wait' -r
complete -c usherd -n "__fish_usherd_using_subcommand run" -l tables -d 'Take hosts.allow and hosts.deny from this folder instead of /etc' -r
complete -c usherd -n "__fish_usherd_using_subcommand run" -l pid-file -d 'Write the process number there, locked' -r
complete -c usherd -n "__fish_usherd_using_subcommand run" -l rate -d 'Starts a minute of a service whose line does not say it [default: the dialect\'s, 256]' -r
complete -c usherd -n "__fish_usherd_using_subcommand run" -l dialect -d 'Read the files as this original does [default: as the one that can read a line, openbsd where several can]' -r -f -a "openbsd\t''
gnu\t''
freebsd\t''
netbsd\t''
busybox\t''"
complete -c usherd -n "__fish_usherd_using_subcommand run" -l ucspi -d 'Give programs PROTO, TCPREMOTEIP, TCPREMOTEPORT, TCPLOCALIP and TCPLOCALPORT'
complete -c usherd -n "__fish_usherd_using_subcommand run" -l keep-environment -d 'Give programs the whole environment, not the cleaned one'
complete -c usherd -n "__fish_usherd_using_subcommand run" -l log-connections -d 'Log each connection'
complete -c usherd -n "__fish_usherd_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usherd -n "__fish_usherd_using_subcommand serve" -l user -d 'Run it as this user [default: yourself]' -r
complete -c usherd -n "__fish_usherd_using_subcommand serve" -l max -d 'The most programs at the same time; further callers wait' -r
complete -c usherd -n "__fish_usherd_using_subcommand serve" -l max-per-source -d 'The most programs for one source; its further callers are refused' -r
complete -c usherd -n "__fish_usherd_using_subcommand serve" -l rate -d 'Starts a minute; further callers wait' -r
complete -c usherd -n "__fish_usherd_using_subcommand serve" -l rate-per-source -d 'Starts a minute for one source; its further callers are refused' -r
complete -c usherd -n "__fish_usherd_using_subcommand serve" -l stderr -d 'Where the program\'s standard error goes' -r -f -a "log\t'to the log'
connection\t'to the caller'"
complete -c usherd -n "__fish_usherd_using_subcommand serve" -l control -d 'The control socket for status, or "none" [default: one for each user, see usherd status]' -r
complete -c usherd -n "__fish_usherd_using_subcommand serve" -l backlog -d 'Connections that wait in the kernel for one listener [default: the dialect\'s, 128]' -r
complete -c usherd -n "__fish_usherd_using_subcommand serve" -l max-children -d 'The most programs in all at the same time; further callers wait' -r
complete -c usherd -n "__fish_usherd_using_subcommand serve" -l tables -d 'Ask hosts.allow and hosts.deny of this folder who is let in' -r
complete -c usherd -n "__fish_usherd_using_subcommand serve" -l refuse -d 'At --max and --rate, refuse callers instead of letting them wait'
complete -c usherd -n "__fish_usherd_using_subcommand serve" -l wait -d 'The program gets the listening socket, one at a time (inetd\'s "wait")'
complete -c usherd -n "__fish_usherd_using_subcommand serve" -s q -l quiet -d 'Do not log connections'
complete -c usherd -n "__fish_usherd_using_subcommand serve" -l ucspi -d 'Give programs PROTO, TCPREMOTEIP, TCPREMOTEPORT, TCPLOCALIP and TCPLOCALPORT'
complete -c usherd -n "__fish_usherd_using_subcommand serve" -l keep-environment -d 'Give programs the whole environment, not the cleaned one'
complete -c usherd -n "__fish_usherd_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usherd -n "__fish_usherd_using_subcommand demo" -l control -d 'The control socket for status, or "none" [default: one for each user, see usherd status]' -r
complete -c usherd -n "__fish_usherd_using_subcommand demo" -s h -l help -d 'Print help'
complete -c usherd -n "__fish_usherd_using_subcommand check" -l dialect -d 'Read the files as this original does [default: as the one that can read a line, openbsd where several can]' -r -f -a "openbsd\t''
gnu\t''
freebsd\t''
netbsd\t''
busybox\t''"
complete -c usherd -n "__fish_usherd_using_subcommand check" -l strict -d 'End with status 1 when there are warnings'
complete -c usherd -n "__fish_usherd_using_subcommand check" -s h -l help -d 'Print help'
complete -c usherd -n "__fish_usherd_using_subcommand convert" -l to -d 'What to write' -r -f -a "xinetd\t'xinetd.conf'
inetd\t'inetd.conf'"
complete -c usherd -n "__fish_usherd_using_subcommand convert" -s o -l output -d 'Write files into this folder: one for each service of xinetd, or one inetd.conf [default: standard output]' -r
complete -c usherd -n "__fish_usherd_using_subcommand convert" -l dialect -d 'Read inetd.conf as this original does, and write it for that one [default: as the one that can read a line, openbsd where several can]' -r -f -a "openbsd\t''
gnu\t''
freebsd\t''
netbsd\t''
busybox\t''"
complete -c usherd -n "__fish_usherd_using_subcommand convert" -l lossy -d 'Switch services on that are more open without what is lost'
complete -c usherd -n "__fish_usherd_using_subcommand convert" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usherd -n "__fish_usherd_using_subcommand status" -l control -d 'The daemon\'s control socket' -r
complete -c usherd -n "__fish_usherd_using_subcommand status" -l json -d 'As JSON'
complete -c usherd -n "__fish_usherd_using_subcommand status" -s h -l help -d 'Print help'
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -s a -d 'Listen there where a line has no address' -r
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -s c -d 'Programs of one service at the same time [no limit]' -r
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -s C -d 'Starts a minute of one service for one source [no limit]' -r
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -s s -d 'Programs of one service for one source [no limit]' -r
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -s q -d 'Connections that wait in the kernel [128]' -r
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -s R -l rate -d 'Starts a minute of one service [256]' -r
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -s p -l pidfile -d 'The pid file; none when it is empty [/run/inetd.pid]' -r
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -l dialect -d 'Read the files as this original does [default: as the one that can read a line, openbsd where several can]' -r -f -a "openbsd\t''
gnu\t''
freebsd\t''
netbsd\t''
busybox\t''"
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -s d -l debug -d 'Stay in the foreground and say everything'
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -s E -d 'Do not clean the environment'
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -s i -l foreground -d 'Stay in the foreground (-f and --foreground too)'
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -s e -d 'Log to standard error instead of syslog'
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -s l -d 'Ask hosts.allow and hosts.deny for every program, and log each connection; FreeBSD: log each connection'
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -s w -d 'Ask hosts.allow and hosts.deny for every program'
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -s W -d 'Ask them for built-ins, too'
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -l environment -d 'Give programs PROTO, TCPREMOTEIP, TCPREMOTEPORT, TCPLOCALIP and TCPLOCALPORT'
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -l resolve -d 'Give them TCPREMOTEHOST and TCPLOCALHOST too'
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -s h -l help -d 'Print help'
complete -c usherd -n "__fish_usherd_using_subcommand inetd" -s V -l version -d 'Print version'
complete -c usherd -n "__fish_usherd_using_subcommand xinetd" -s f -d 'The configuration [/etc/xinetd.conf]' -r
complete -c usherd -n "__fish_usherd_using_subcommand xinetd" -l syslog -d 'The facility of syslog for the daemon\'s own lines [daemon]' -r
complete -c usherd -n "__fish_usherd_using_subcommand xinetd" -l filelog -d 'Add the daemon\'s own lines to this file, instead of syslog' -r
complete -c usherd -n "__fish_usherd_using_subcommand xinetd" -l pidfile -d 'Write the process number there, locked' -r
complete -c usherd -n "__fish_usherd_using_subcommand xinetd" -l limit -d 'The most programs in all at the same time [no limit]' -r
complete -c usherd -n "__fish_usherd_using_subcommand xinetd" -l logprocs -d 'The most look-ups about callers at the same time, at most 32 [15]' -r
complete -c usherd -n "__fish_usherd_using_subcommand xinetd" -l cc -d 'Nothing: there is no check of the daemon\'s own state to be made now and then' -r
complete -c usherd -n "__fish_usherd_using_subcommand xinetd" -l shutdownprocs -d 'Nothing, as in xinetd' -r
complete -c usherd -n "__fish_usherd_using_subcommand xinetd" -s d -d 'Stay in the foreground, and log to standard error'
complete -c usherd -n "__fish_usherd_using_subcommand xinetd" -l dontfork -d 'Stay in the foreground, whatever there is to serve'
complete -c usherd -n "__fish_usherd_using_subcommand xinetd" -l stayalive -d 'Go on when there is nothing to serve'
complete -c usherd -n "__fish_usherd_using_subcommand xinetd" -l inetd_compat -d 'Read /etc/inetd.conf too'
complete -c usherd -n "__fish_usherd_using_subcommand xinetd" -l inetd_ipv6 -d 'Nothing: services of /etc/inetd.conf have both families'
complete -c usherd -n "__fish_usherd_using_subcommand xinetd" -l reuse -d 'Nothing: addresses are always reused'
complete -c usherd -n "__fish_usherd_using_subcommand xinetd" -l version -d 'Print the version'
complete -c usherd -n "__fish_usherd_using_subcommand xinetd" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usherd -n "__fish_usherd_using_subcommand access; and not __fish_seen_subcommand_from test" -s h -l help -d 'Print help'
complete -c usherd -n "__fish_usherd_using_subcommand access; and not __fish_seen_subcommand_from test" -f -a "test" -d 'Say what hosts.allow and hosts.deny say about a caller, and by which rule'
complete -c usherd -n "__fish_usherd_using_subcommand access; and __fish_seen_subcommand_from test" -l tables -d 'Take hosts.allow and hosts.deny from this folder instead of /etc' -r
complete -c usherd -n "__fish_usherd_using_subcommand access; and __fish_seen_subcommand_from test" -l allow -d 'This file instead of hosts.allow' -r
complete -c usherd -n "__fish_usherd_using_subcommand access; and __fish_seen_subcommand_from test" -l deny -d 'This file instead of hosts.deny' -r
complete -c usherd -n "__fish_usherd_using_subcommand access; and __fish_seen_subcommand_from test" -l explain -d 'Show every rule that was looked at, and what was looked up for it'
complete -c usherd -n "__fish_usherd_using_subcommand access; and __fish_seen_subcommand_from test" -s h -l help -d 'Print help'
complete -c usherd -n "__fish_usherd_using_subcommand ident" -s d -d 'The name to give when the owner is not found, and always without -r' -r
complete -c usherd -n "__fish_usherd_using_subcommand ident" -s t -d 'How long the caller may take to ask, with up to six decimals' -r
complete -c usherd -n "__fish_usherd_using_subcommand ident" -s o -d 'The operating system to give [default: this one]' -r
complete -c usherd -n "__fish_usherd_using_subcommand ident" -s g -d 'Give a name of letters and digits by chance'
complete -c usherd -n "__fish_usherd_using_subcommand ident" -s r -d 'Look for the owner; without it the answer is the name of -d, or HIDDEN-USER'
complete -c usherd -n "__fish_usherd_using_subcommand ident" -s i -d 'Give the owner\'s user id, not the name'
complete -c usherd -n "__fish_usherd_using_subcommand ident" -s f -d 'Give the name in the owner\'s ~/.fakeid, unless a user has it'
complete -c usherd -n "__fish_usherd_using_subcommand ident" -s F -d 'Give the name in the owner\'s ~/.fakeid, even if a user has it'
complete -c usherd -n "__fish_usherd_using_subcommand ident" -s n -d 'Answer HIDDEN-USER when the owner has a ~/.noident, or when that cannot be told'
complete -c usherd -n "__fish_usherd_using_subcommand ident" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c usherd -n "__fish_usherd_using_subcommand with-names" -s h -l help -d 'Print help (see more with \'--help\')'
