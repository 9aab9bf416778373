import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.apache.nifi.flow.VersionedConnection;
import org.apache.nifi.flow.VersionedProcessGroup;
import org.apache.nifi.flow.VersionedProcessor;
import org.apache.nifi.processor.Processor;
import org.apache.nifi.registry.flow.RegisteredFlowSnapshot;
import org.apache.nifi.util.MockFlowFile;
import org.apache.nifi.util.MockPropertyValue;
import org.apache.nifi.util.TestRunner;
import org.apache.nifi.util.TestRunners;

/**
 * Reads the flow definitions of a folder as NiFi does, and runs landing.json without a NiFi: each of its processors is
 * NiFi's own, in NiFi's test runner.
 * Arguments: the folder, the value of the parameter "landing", and the contents of FlowFiles that enter the flow.
 */
public class LandingFlow {
    public static void main(String[] arguments) throws Exception {
        VersionedProcessGroup group = null;
        for (File definition : new File(arguments[0]).listFiles()) {
            VersionedProcessGroup read =
                    new ObjectMapper().readValue(definition, RegisteredFlowSnapshot.class).getFlowContents();
            System.out.println(read.getName());
            group = definition.getName().equals("landing.json") ? read : group;
        }
        String place = group.getInputPorts().iterator().next().getIdentifier();
        List<MockFlowFile> flowFiles = new ArrayList<>();
        for (String content : Arrays.copyOfRange(arguments, 2, arguments.length)) {
            MockFlowFile flowFile = new MockFlowFile(flowFiles.size());
            flowFile.setData(content.getBytes("UTF-8"));
            flowFiles.add(flowFile);
        }
        while (true) {
            VersionedProcessor next = after(group, place);
            if (next == null) {
                return;
            }
            flowFiles = next.getType().endsWith(".UpdateAttribute")
                    ? updated(next, flowFiles)
                    : processed(group, next, flowFiles, arguments[1]);
            place = next.getIdentifier();
        }
    }

    /** Returns the processor that a connection leads to which is not that of failures. */
    private static VersionedProcessor after(VersionedProcessGroup group, String source) {
        for (VersionedConnection connection : group.getConnections()) {
            if (connection.getSource().getId().equals(source) && !connection.getSelectedRelationships().contains("failure")) {
                for (VersionedProcessor processor : group.getProcessors()) {
                    if (processor.getIdentifier().equals(connection.getDestination().getId())) {
                        return processor;
                    }
                }
            }
        }
        return null;
    }

    /** Sets attributes as UpdateAttribute does, which is in none of the libraries here. */
    private static List<MockFlowFile> updated(VersionedProcessor processor, List<MockFlowFile> flowFiles) {
        for (MockFlowFile flowFile : flowFiles) {
            for (Map.Entry<String, String> entry : processor.getProperties().entrySet()) {
                String value = new MockPropertyValue(entry.getValue()).evaluateAttributeExpressions(flowFile).getValue();
                flowFile.putAttributes(Map.of(entry.getKey(), value));
            }
        }
        return flowFiles;
    }

    private static List<MockFlowFile> processed(
            VersionedProcessGroup group, VersionedProcessor processor, List<MockFlowFile> flowFiles, String landing)
            throws Exception {
        TestRunner runner = TestRunners.newTestRunner(
                (Processor) Class.forName(processor.getType()).getDeclaredConstructor().newInstance());
        for (Map.Entry<String, String> entry : processor.getProperties().entrySet()) {
            runner.setProperty(entry.getKey(), entry.getValue().replace("#{landing}", landing));
        }
        if (processor.getType().endsWith(".MergeContent")) {
            runner.setProperty("Minimum Number of Entries", String.valueOf(flowFiles.size()));
        }
        runner.assertValid();
        for (MockFlowFile flowFile : flowFiles) {
            runner.enqueue(flowFile.toByteArray(), flowFile.getAttributes()); // as one of this runner's own
        }
        runner.run(flowFiles.size() + 2); // MergeContent ends a bin when it was run without new ones
        for (VersionedConnection connection : group.getConnections()) {
            if (connection.getSource().getId().equals(processor.getIdentifier())) {
                String relationship = connection.getSelectedRelationships().iterator().next();
                if (!relationship.equals("failure")) {
                    return runner.getFlowFilesForRelationship(relationship);
                }
            }
        }
        runner.assertAllFlowFilesTransferred("success");
        return List.of();
    }
}
