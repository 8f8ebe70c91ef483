/* Client addresses by the network that one subscriber has. */
#include "services/user/domain/throttle.h"

#include <arpa/inet.h>
#include <string.h>

enum { NETWORK_BYTES = 8 }; /* of an IPv6 address */

bool throttle_network(const char *address, char out[static THROTTLE_NETWORK_TEXT])
{
    struct in_addr four;
    struct in6_addr six;

    if (inet_pton(AF_INET, address, &four) == 1) return inet_ntop(AF_INET, &four, out, THROTTLE_NETWORK_TEXT);
    if (inet_pton(AF_INET6, address, &six) != 1) return false;
    if (IN6_IS_ADDR_V4MAPPED(&six)) return inet_ntop(AF_INET, &six.s6_addr[12], out, THROTTLE_NETWORK_TEXT);
    memset(&six.s6_addr[NETWORK_BYTES], 0, sizeof six.s6_addr - NETWORK_BYTES);
    return inet_ntop(AF_INET6, &six, out, THROTTLE_NETWORK_TEXT);
}
