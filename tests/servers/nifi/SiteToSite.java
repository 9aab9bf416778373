import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import org.apache.nifi.remote.Transaction;
import org.apache.nifi.remote.TransferDirection;
import org.apache.nifi.remote.client.SiteToSiteClient;
import org.apache.nifi.remote.protocol.DataPacket;
import org.apache.nifi.remote.protocol.SiteToSiteTransportProtocol;

/**
 * NiFi's own client: pushes FlowFiles to a port, then pulls all that there are and prints them, a line each.
 * Arguments: the address, the port, and the contents to push.
 */
public class SiteToSite {
    public static void main(String[] arguments) throws Exception {
        try (SiteToSiteClient client = new SiteToSiteClient.Builder()
                .url(arguments[0])
                .portName(arguments[1])
                .transportProtocol(SiteToSiteTransportProtocol.HTTP)
                .build()) {
            push(client, Arrays.copyOfRange(arguments, 2, arguments.length));
            pull(client);
        }
    }

    private static void push(SiteToSiteClient client, String[] contents) throws Exception {
        Transaction transaction = client.createTransaction(TransferDirection.SEND);
        for (int index = 0; index < contents.length; index++) {
            Map<String, String> attributes = new TreeMap<>();
            attributes.put("filename", "pushed-" + index);
            attributes.put("grüße", "ünïcode ✓");
            transaction.send(contents[index].getBytes(StandardCharsets.UTF_8), attributes);
        }
        transaction.confirm();
        System.out.println("pushed " + transaction.complete().getDataPacketsTransferred());
    }

    private static void pull(SiteToSiteClient client) throws Exception {
        Transaction transaction = client.createTransaction(TransferDirection.RECEIVE);
        StringBuilder lines = new StringBuilder();
        for (DataPacket packet = transaction.receive(); packet != null; packet = transaction.receive()) {
            String content = new String(packet.getData().readAllBytes(), StandardCharsets.UTF_8);
            lines.append(packet.getAttributes().get("filename")).append('\t').append(content).append('\n');
        }
        transaction.confirm();
        transaction.complete();
        System.out.print(lines);
    }
}
