#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include "prepare.h"

static const struct sockaddr_in *ipv4(const struct sockaddr *address)
{
    if (!address || address->sa_family != AF_INET) return NULL;
    return (const struct sockaddr_in *)(const void *)address;
}

void me_network_find(const char *local_address, const char *peer_address, char *cidr, size_t size)
{
    struct in_addr local, peer;
    struct ifaddrs *list = NULL;
    cidr[0] = '\0';
    if (inet_pton(AF_INET, local_address, &local) != 1 || inet_pton(AF_INET, peer_address, &peer) != 1)
        return;
    if (getifaddrs(&list)) return;
    for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
        const struct sockaddr_in *address = ipv4(i->ifa_addr), *mask = ipv4(i->ifa_netmask);
        if (!address || !mask || (i->ifa_flags & IFF_LOOPBACK) || address->sin_addr.s_addr != local.s_addr)
            continue;
        in_addr_t bits = mask->sin_addr.s_addr;
        if ((local.s_addr & bits) != (peer.s_addr & bits)) continue;
        struct in_addr network = {.s_addr = local.s_addr & bits};
        char text[INET_ADDRSTRLEN];
        snprintf(cidr, size, "%s/%d", inet_ntop(AF_INET, &network, text, sizeof text),
                 __builtin_popcount(bits));
        break;
    }
    freeifaddrs(list);
}
