// The simulated SoC with its bridge's bytes in two named pipes. Time stands still until a byte comes: the host decides
// how long the simulation runs, and the end of its pipe ends it.
`timescale 1ns / 1ps
module bridge_bench;
  reg clock = 1'b0;
  reg reset = 1'b1;
  always #5 clock = ~clock;

  reg sink_valid = 1'b0;
  reg [7:0] sink_data = 8'd0;
  wire sink_ready, source_valid;
  wire [7:0] source_data;
  reg source_taken = 1'b0;
  reg [7:0] source_byte = 8'd0;
  reg sink_taken = 1'b0;

  simulated_soc soc (
      .sys_clk(clock), .sys_rst(reset), .sim_trace(1'b0),
      .bridge_sink_valid(sink_valid), .bridge_sink_ready(sink_ready), .bridge_sink_data(sink_data),
      .bridge_source_valid(source_valid), .bridge_source_ready(1'b1), .bridge_source_data(source_data)
  );

  always @(posedge clock) begin
    source_taken <= source_valid;
    source_byte <= source_data;
    sink_taken <= sink_valid && sink_ready;
  end

  // The host waits for what it asked for before it sends more, so the bench must not wait for the host as long as an
  // answer may still come: after every byte it lets the SoC run for more cycles than an access to its bus takes.
  localparam integer ANSWER_CYCLES = 64;
  integer commands, answers, code, idle;
  initial begin
    commands = $fopen("commands", "rb");
    answers = $fopen("answers", "wb");
    if (commands == 0 || answers == 0) $fatal(1, "the pipes `commands` and `answers` are not there");
    repeat (8) @(negedge clock);
    reset = 1'b0;
    idle = 0;
    code = 0;
    while (code != -1) begin
      @(negedge clock);
      if (sink_taken) sink_valid = 1'b0;
      idle = sink_valid || source_taken ? 0 : idle + 1;
      if (source_taken) begin
        $fwrite(answers, "%02x\n", source_byte);
        $fflush(answers);
      end
      if (!sink_valid && idle >= ANSWER_CYCLES) begin
        code = $fgetc(commands);
        sink_data = code[7:0];
        sink_valid = code != -1;
        idle = 0;
      end
    end
    $finish;
  end
endmodule
